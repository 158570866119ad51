import type { KubernetesObject } from '../../kubernetes/api.ts'
import { fullName } from '../../kubernetes/kinds.ts'
import type { Migration } from '../../migration/migration.ts'
import type { Read, Writer } from './write.ts'

interface ClaimReference {
  namespace: string
  name: string
  uid?: string
}

/**
 * What the operator has to know of a volume, or a claim, that is made anew: whether there is data behind it.
 * @returns undefined when there is nothing to say
 */
export async function dataBehind(
  read: Read,
  object: KubernetesObject,
  isComing: (key: string) => boolean,
): Promise<string | undefined> {
  const spec = object.spec as { persistentVolumeReclaimPolicy?: string; volumeName?: string } | undefined
  if (object.kind === 'PersistentVolume' && spec?.persistentVolumeReclaimPolicy === 'Delete') {
    return 'its reclaim policy is Delete: its data is there only if its storage was not told to delete it'
  }
  const name = object.kind === 'PersistentVolumeClaim' ? spec?.volumeName : undefined
  if (name === undefined || isComing(`PersistentVolume. /${name}`)) return undefined
  if (await read(`/api/v1/persistentvolumes/${name}`)) return undefined
  return `its volume ${name} is neither there nor in the backup: it will wait for it`
}

/**
 * A volume that outlived its claim keeps the UID of it, and lets no other one bind: it is Released. When a claim of that name comes
 * back, the UID is taken out, and the volume controller binds the two as they were.
 * Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reserving-a-persistentvolume
 * @param volume as it is in the cluster
 * @param isComing whether the claim, by its objectKey, is to be restored
 */
export async function letClaimBindAgain(
  migration: Migration,
  writer: Writer,
  volume: KubernetesObject,
  path: string,
  isComing: (key: string) => boolean,
): Promise<void> {
  const claim = (volume.spec as { claimRef?: ClaimReference }).claimRef
  if (claim?.uid === undefined || !isComing(`PersistentVolumeClaim. ${claim.namespace}/${claim.name}`)) return
  const there = await writer.read(`/api/v1/namespaces/${claim.namespace}/persistentvolumeclaims/${claim.name}`)
  if (there?.metadata.uid === claim.uid) return
  const { uid } = claim
  await migration.change(`Let PersistentVolume ${fullName(volume)} bind to ${claim.namespace}/${claim.name} again`, {
    undo: { kind: 'claim-uid', path, uid },
    apply: async () => {
      // In one request with its test: whoever has bound it meanwhile keeps it.
      await writer.jsonPatch(path, [
        { op: 'test', path: '/spec/claimRef/uid', value: uid },
        { op: 'remove', path: '/spec/claimRef/uid' },
        { op: 'add', path: '/spec/claimRef/resourceVersion', value: '' },
      ])
    },
  })
}
