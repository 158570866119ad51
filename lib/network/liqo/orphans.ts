import * as z from 'zod'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import type { Sides } from './arguments.ts'
import { calledLeftOver, type LeftOver, leftOvers, otherOf, type Peers } from './left-overs.ts'
import type { Side, SideName } from './side.ts'

export const orphanUndoKind = 'liqo-orphan'

const undoSchema = z.object({
  kind: z.literal(orphanUndoKind),
  side: z.enum(['here', 'there']),
  path: z.string(),
  object: z.looseObject({ metadata: z.looseObject({ name: z.string() }) }).nullable(),
})

/**
 * Removes what is left of a peering, each object by itself and with its finalizers, for the controller that should take those off is gone
 * or cannot reach the other side. Namespaces go last, with what else is in them.
 */
export async function removeOrphans(migration: Migration, left: readonly LeftOver[]): Promise<void> {
  for (const orphan of left) {
    const { side, path } = orphan
    await migration.change(`Remove ${calledLeftOver(orphan)}, finalizers included`, {
      undo: { kind: orphanUndoKind, side: side.name, path, object: asItWas(orphan) },
      apply: () => remove(side.api, path, { finalizers: 'go' }),
    })
  }
}

/**
 * Takes this cluster's half of a peering down without the other: its objects are deleted, and Liqo's controllers finish what can be finished.
 */
export async function removeHere(migration: Migration, here: Side, { there }: Peers): Promise<void> {
  for (const one of await leftOvers(here, there)) {
    await migration.change(`Delete ${calledLeftOver(one)}`, {
      undo: { kind: orphanUndoKind, side: 'here', path: one.path, object: asItWas(one) },
      apply: () => remove(here.api, one.path, { finalizers: 'stay' }),
    })
  }
}

/** Deletes what liqoctl had not come to; the finalizers are left to Liqo's controllers. Within a change that is journaled already. */
export async function deleteLeftOvers(side: Side, { here, there }: Sides): Promise<void> {
  const peers = { here: here.clusterId, there: there.clusterId }
  for (const { path } of await leftOvers(side, otherOf(side, peers)))
    await remove(side.api, path, { finalizers: 'stay' })
}

/**
 * Puts an object that was removed as an orphan back, as it was, without the finalizers, which are its controller's to set. What a namespace held
 * beyond Liqo's own objects does not come back with it, nor do shadow pods, which their virtual node makes.
 */
export async function undoOrphan(
  apis: Readonly<Record<SideName, KubernetesApi>>,
  change: JournaledChange,
): Promise<Undone> {
  const { side, path, object } = undoSchema.parse(change.undo)
  if (object === null) return 'already'
  if (await apis[side].getOrNull(path)) return 'already'
  try {
    await apis[side].create(path.slice(0, path.lastIndexOf('/')), object)
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return 'already'
    if (error instanceof ApiError && error.status === 404)
      return `conflict: where it was, there is nothing any more (${path})`
    throw error
  }
  return 'undone'
}

async function remove(api: KubernetesApi, path: string, { finalizers }: { finalizers: 'go' | 'stay' }): Promise<void> {
  try {
    await api.remove(path)
    if (finalizers === 'stay') return
    const there = await api.getOrNull<KubernetesObject>(path)
    if (there?.metadata.finalizers?.length) await api.mergePatch(path, { metadata: { finalizers: null } })
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error
  }
}

/** What can be put back of it: nothing that the server sets, and no pod, whose environment may hold what must not be in a journal. */
function asItWas({ resource, object }: LeftOver): z.infer<typeof undoSchema>['object'] & ReturnType<typeof JSON.parse> {
  if (resource.startsWith('shadowpods.')) return null
  const { apiVersion, kind, metadata, spec } = object
  const { name, namespace, labels, annotations } = metadata
  return JSON.parse(JSON.stringify({ apiVersion, kind, metadata: { name, namespace, labels, annotations }, spec }))
}
