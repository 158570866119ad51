import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { fullName } from '../../kubernetes/kinds.ts'
import type { Migration } from '../../migration/migration.ts'

interface ClaimReference {
  namespace: string
  name: string
  uid?: string
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
  api: KubernetesApi,
  volume: KubernetesObject,
  path: string,
  isComing: (key: string) => boolean,
): Promise<void> {
  const claim = (volume.spec as { claimRef?: ClaimReference }).claimRef
  if (claim?.uid === undefined || !isComing(`PersistentVolumeClaim. ${claim.namespace}/${claim.name}`)) return
  const there = await api.getOrNull(`/api/v1/namespaces/${claim.namespace}/persistentvolumeclaims/${claim.name}`)
  if (there?.metadata.uid === claim.uid) return
  const { uid } = claim
  await migration.change(`Let PersistentVolume ${fullName(volume)} bind to ${claim.namespace}/${claim.name} again`, {
    undo: { kind: 'claim-uid', path, uid },
    apply: async () => {
      // In one request with its test: whoever has bound it meanwhile keeps it.
      await api.jsonPatch(path, [
        { op: 'test', path: '/spec/claimRef/uid', value: uid },
        { op: 'remove', path: '/spec/claimRef/uid' },
      ])
      await api.mergePatch(path, { spec: { claimRef: { resourceVersion: null } } })
    },
  })
}
