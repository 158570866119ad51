import * as z from 'zod'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import type { Undone } from '../../migration/migration.ts'
import { saysTheSame } from './difference.ts'
import { withoutServerOwned } from './server-owned.ts'
import { fieldManager } from './write.ts'

const restored = z.object({ kind: z.literal('restored'), path: z.string(), was: z.enum(['absent', 'there']) })
const overwritten = z.object({ kind: z.literal('overwritten'), path: z.string(), uid: z.string(), kept: z.string() })
const claimUid = z.object({ kind: z.literal('claim-uid'), path: z.string(), uid: z.string() })

/** With them goes more than themselves: the objects in them, or the data behind them. */
const carriesMore = ['namespaces', 'customresourcedefinitions', 'persistentvolumeclaims', 'persistentvolumes']

/**
 * Removes an object that a restore has made. One that somebody has written to since is kept, and so is one with which more than itself would
 * go, unless it is to be taken back all the same. What a restore has added to something that was there stays: nothing was lost by it.
 */
export async function undoRestored(api: KubernetesApi, undo: unknown, takeBack = false): Promise<Undone> {
  const { path, was } = restored.parse(undo)
  const object = await api.getOrNull(path)
  if (!object || was === 'there' || object.metadata.deletionTimestamp !== undefined) return 'already'
  if (!takeBack) {
    const resource = resourceOf(path)
    if (carriesMore.includes(resource)) {
      return `conflict: more than itself may go with one of ${resource}. Kept; remove it yourself when nothing of it is needed.`
    }
    const writer = strangerAt(object)
    if (writer) return `conflict: ${writer} has written to it since. Kept as it is.`
  }
  const { uid } = object.metadata
  await api.remove(path, { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } }).catch(unlessGone)
  return 'undone'
}

/**
 * Gives an object back what a restore has overwritten.
 * @param keptObject opens what was kept of it, a file of the run's folder
 * @param takeBack also over what somebody has written since
 */
export async function undoOverwritten(
  api: KubernetesApi,
  undo: unknown,
  keptObject: (file: string) => Promise<KubernetesObject>,
  takeBack = false,
): Promise<Undone> {
  const { path, uid, kept } = overwritten.parse(undo)
  const there = await api.getOrNull(path)
  if (!there) return `conflict: it is not there any more; what it said lies encrypted in ${kept}`
  if (there.metadata.uid !== uid) return 'conflict: it is another object of that name by now. Kept as it is.'
  const before = await keptObject(kept)
  if (saysTheSame(withoutServerOwn(path, there), withoutServerOwn(path, before))) return 'already'
  const writer = strangerAt(there)
  if (writer && !takeBack) return `conflict: ${writer} has written to it since. Kept as it is.`
  const { resourceVersion } = there.metadata
  await api.replace(path, { ...before, metadata: { ...before.metadata, resourceVersion } })
  return 'undone'
}

/** Binds a volume to the claim again that it was bound to, if it is free still. */
export async function undoClaimUid(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, uid } = claimUid.parse(undo)
  const volume = await api.getOrNull<KubernetesObject & { spec: { claimRef?: { uid?: string } } }>(path)
  if (!volume) return 'conflict: it is not there any more'
  const now = volume.spec.claimRef?.uid
  if (now === uid) return 'already'
  if (now !== undefined) return 'conflict: a new claim is bound to it. Kept as it is.'
  if (volume.spec.claimRef === undefined) return 'conflict: it belongs to no claim any more. Kept as it is.'
  await api.jsonPatch(path, [{ op: 'add', path: '/spec/claimRef/uid', value: uid }])
  return 'undone'
}

interface ManagedField {
  manager?: string
  time?: string
  subresource?: string
}

/** Who has written to an object after the restore; controllers write its status, which does not count. */
function strangerAt({ metadata }: KubernetesObject): string | undefined {
  const fields = ((metadata.managedFields ?? []) as ManagedField[]).filter(({ subresource }) => !subresource)
  const ours = fields.filter(({ manager }) => manager === fieldManager).map(({ time = '' }) => time)
  const lastOfOurs = ours.sort().at(-1)
  if (lastOfOurs === undefined) return 'somebody'
  return fields.find(({ manager, time = '' }) => manager !== fieldManager && time > lastOfOurs)?.manager
}

function withoutServerOwn(path: string, object: KubernetesObject): KubernetesObject {
  const [, root = '', group = ''] = path.split('/')
  const entry = { group: root === 'apis' ? group : '', resource: resourceOf(path) }
  return withoutServerOwned(entry, object, { hasStatus: true })
}

/** `/api/v1/namespaces/media/secrets/plex` → `secrets`. */
function resourceOf(path: string): string {
  return path.split('/').at(-2) ?? ''
}

function unlessGone(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 404)) throw error
}
