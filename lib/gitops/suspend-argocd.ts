import { isDeepStrictEqual } from 'node:util'
import pMap from 'p-map'
import * as z from 'zod'
import { ApiError, type JsonPatchOperation, type KubernetesApi, type KubernetesObject } from '../kubernetes/api.ts'
import type { ServedResource } from '../kubernetes/served.ts'
import type { Json } from '../migration/journal.ts'
import type { Migration, Undone } from '../migration/migration.ts'
import { type ArgoObject, isAutomatic, isJsonObject, type JsonObject, readArgoCd, servedArgoKinds } from './argocd.ts'
import { generations } from './ordering.ts'
import type { SuspendedGitOps } from './suspend-flux.ts'

export const argoUndoKind = 'argocd-sync'

/**
 * What the journal holds of an Application or ApplicationSet: where it is, and the whole of `spec.syncPolicy` as it
 * was.
 */
const argoUndoSchema = z.object({
  kind: z.literal(argoUndoKind),
  path: z.string(),
  syncPolicy: z.record(z.string(), z.json()).nullable(),
})

const concurrency = 8
const stableReads = 8

/**
 * Turns automated sync off, whoever writes an object before the object itself: an ApplicationSet, or the Application of
 * an app of apps with self-heal, puts the policy of its Applications back within seconds. An ApplicationSet is set to
 * create-only, which leaves its template alone and keeps it from updating or deleting Applications.
 * Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
 */
export async function suspendArgoCd(migration: Migration, api: KubernetesApi): Promise<SuspendedGitOps> {
  const kinds = await servedArgoKinds(api)
  if (kinds.length === 0) {
    migration.console.info('Argo CD is not installed in this cluster: nothing to suspend.')
    return { installed: false, suspended: [], alreadySuspended: [] }
  }
  const objects = await readArgoCd(api, kinds)
  rememberUnsynced(migration, objects)
  const automatic = objects.filter(isAutomatic)
  for (const group of generations(automatic)) {
    await pMap(group, (object) => suspendArgoObject(migration, api, object), { concurrency })
  }
  await argoCdStaysQuiet(migration, api, kinds)
  return {
    installed: true,
    suspended: automatic.map((object) => object.key),
    alreadySuspended: objects.filter((object) => !isAutomatic(object)).map((object) => object.key),
  }
}

/**
 * What was not synced before we touched anything need not be waited for afterwards. Keeps the first answer of the run.
 */
export function rememberUnsynced(migration: Migration, objects: readonly ArgoObject[]): void {
  if (unsyncedBefore(migration) !== undefined) return
  const unsynced = objects.filter((object) => object.kind === 'Application' && object.sync !== 'Synced')
  migration.remember(
    'argocd-unsynced',
    unsynced.map((object) => object.key),
  )
}

/** Applications that were not synced before the drain; undefined if nobody looked. */
export function unsyncedBefore(migration: Migration): string[] | undefined {
  return migration.recall('argocd-unsynced', z.array(z.string()))
}

/** How the journal calls it. */
export function whatOfArgo({ kind, key }: ArgoObject): string {
  return kind === 'Application' ? `Turn automated sync off: ${key}` : `Keep ${key} from writing its Applications`
}

/** Turns automated sync of one object off, with its policy in the journal. */
export async function suspendArgoObject(migration: Migration, api: KubernetesApi, object: ArgoObject): Promise<void> {
  await migration.change(whatOfArgo(object), {
    undo: { kind: argoUndoKind, path: object.path, syncPolicy: object.syncPolicy },
    apply: () => (object.kind === 'Application' ? suspendApplication(api, object) : suspendApplicationSet(api, object)),
  })
}

/**
 * Prefers `automated.enabled: false`, which keeps prune and selfHeal readable where they are. A server whose
 * Application has no such field (Argo CD before 3.1) drops it without a word, so it is read back, and then the whole of
 * `automated` goes.
 * Source: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/
 */
async function suspendApplication(api: KubernetesApi, object: ArgoObject): Promise<void> {
  const disabled = { spec: { syncPolicy: { automated: { enabled: false } } } }
  const answer = await api.mergePatch(object.path, disabled)
  const automated = syncPolicyOf(answer)?.automated
  if (isJsonObject(automated) && automated.enabled === false) return
  await api.mergePatch(object.path, { spec: { syncPolicy: { automated: null } } })
}

async function suspendApplicationSet(api: KubernetesApi, object: ArgoObject): Promise<void> {
  await api.mergePatch(object.path, { spec: { syncPolicy: { applicationsSync: 'create-only' } } })
}

async function argoCdStaysQuiet(
  migration: Migration,
  api: KubernetesApi,
  kinds: readonly ServedResource[],
): Promise<void> {
  let quietReads = 0
  await migration.wait({
    name: 'Argo CD stays suspended and no sync is running',
    timeoutSeconds: 300,
    everyMs: 500,
    hint: 'A parent of these Applications that is no Application here writes them (Flux, another Argo CD, an ApplicationSet controller started with --policy), or a sync hangs: argocd app terminate-op NAME',
    probe: async () => {
      const objects = await readArgoCd(api, kinds)
      const automatic = objects.filter(isAutomatic)
      const syncing = objects.filter((object) => object.syncing)
      if (!migration.dryRun) for (const object of automatic) await suspendArgoObject(migration, api, object)
      quietReads = automatic.length + syncing.length > 0 ? 0 : quietReads + 1
      if (automatic.length > 0) return { met: false, saw: `automated again: ${keys(automatic)}` }
      if (syncing.length > 0) return { met: false, saw: `still syncing: ${keys(syncing)}` }
      const saw = `all ${objects.length} quiet, looking whether they stay so`
      return quietReads >= stableReads ? { met: true, value: undefined, saw } : { met: false, saw }
    },
  })
}

/**
 * Puts `spec.syncPolicy` back exactly as it was, if it still is what we made of it.
 * @param takeBack also if it is not: then what somebody wrote meanwhile is lost
 * @returns a conflict with both values when someone wrote another policy meanwhile: theirs is kept
 */
export async function undoArgoSync(api: KubernetesApi, undo: unknown, takeBack = false): Promise<Undone> {
  const { path, syncPolicy: before } = argoUndoSchema.parse(undo)
  const object = await api.getOrNull(path)
  if (!object) return 'conflict: it is not there any more'
  const now = syncPolicyOf(object)
  if (isDeepStrictEqual(now, before)) return 'already'
  if (!isOurs(now, before) && !takeBack) {
    return `conflict: spec.syncPolicy is now ${JSON.stringify(now)}; before the drain it was ${JSON.stringify(before)}. Kept as it is.`
  }
  try {
    await api.jsonPatch(path, restoring(now, before))
    return 'undone'
  } catch (error) {
    // The test failed: somebody wrote it between our look and our patch, so there is something new to look at.
    if (error instanceof ApiError && error.status === 422) return undoArgoSync(api, undo, takeBack)
    throw error
  }
}

/** What we leave behind: `enabled: false` within automated, no automated, or an ApplicationSet's create-only. */
export function isOurs(now: JsonObject | null, before: JsonObject | null): boolean {
  const { automated, ...withoutAutomated } = before ?? {}
  const ours: JsonObject[] = [{ ...before, applicationsSync: 'create-only' }, withoutAutomated]
  if (isJsonObject(automated)) ours.push({ ...before, automated: { ...automated, enabled: false } })
  return ours.some((policy) => isDeepStrictEqual(now ?? {}, policy))
}

/** The API server applies it only if the policy is still the one that was looked at. */
function restoring(now: JsonObject | null, before: JsonObject | null): JsonPatchOperation[] {
  const path = '/spec/syncPolicy'
  const unchanged: JsonPatchOperation[] = now === null ? [] : [{ op: 'test', path, value: now }]
  return [...unchanged, before === null ? { op: 'remove', path } : { op: 'add', path, value: before }]
}

function syncPolicyOf(object: KubernetesObject): JsonObject | null {
  const policy: Json | undefined = (object.spec as { syncPolicy?: JsonObject } | undefined)?.syncPolicy
  return policy ?? null
}

function keys(objects: readonly ArgoObject[]): string {
  return objects.map((object) => object.key).join(', ')
}
