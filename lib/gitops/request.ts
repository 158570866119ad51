import * as z from 'zod'
import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration, Undone } from '../migration/migration.ts'

export const requestUndoKind = 'reconcile-request'
const requestUndoSchema = z.object({
  kind: z.literal(requestUndoKind),
  path: z.string(),
  annotation: z.string(),
  before: z.string().nullable(),
})

/** An annotation by which a controller is asked to look at an object at once. */
export interface Request {
  readonly key: string
  readonly path: string
  readonly annotation: string
  readonly value: string
  /** what stands there; null if nothing does */
  readonly before: string | null
}

/** Asks a controller to look now rather than after its interval, or its back-off. */
export async function requestReconcile(migration: Migration, api: KubernetesApi, request: Request): Promise<void> {
  const { key, path, annotation, value, before } = request
  await migration.change(`Request reconcile of ${key}`, {
    undo: { kind: requestUndoKind, path, annotation, before },
    apply: () => annotate(api, path, annotation, value),
  })
}

/**
 * The annotations that we leave are the ones that we found. A controller does not look again because a request is taken
 * away.
 */
export async function takeRequestsBack(migration: Migration, api: KubernetesApi): Promise<void> {
  const requests = migration.journal.changes({ kind: requestUndoKind }).filter((change) => change.state !== 'undone')
  for (const change of requests) await migration.undo(change, () => undoRequest(api, change.undo))
}

/** Puts the annotation back as it was found. */
export async function undoRequest(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, annotation, before } = requestUndoSchema.parse(undo)
  if (!(await api.getOrNull(path))) return 'already'
  await annotate(api, path, annotation, before)
  return 'undone'
}

async function annotate(api: KubernetesApi, path: string, annotation: string, value: string | null): Promise<void> {
  await api.mergePatch(path, { metadata: { annotations: { [annotation]: value } } })
}
