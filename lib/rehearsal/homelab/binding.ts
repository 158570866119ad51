import type { KubernetesObject } from '../../kubernetes/api.ts'

interface VolumeSpec {
  accessModes: string[]
  capacity: { storage: string }
  claimRef?: { namespace: string; name: string; uid?: string }
}

/**
 * The volume with the id of its claim. A volume that knows it is bound at once; one that does not is bound by the volume
 * controller in four writes, and a conflict between two of them waits for its next resync, 15 s later.
 * @param claims by `namespace/name`, as the API server has them
 */
export function withClaimId(volume: KubernetesObject, claims: ReadonlyMap<string, KubernetesObject>): KubernetesObject {
  const spec = volume.spec as VolumeSpec
  if (!spec.claimRef) return volume
  const claim = claims.get(`${spec.claimRef.namespace}/${spec.claimRef.name}`)
  if (!claim) throw new Error(`PersistentVolume ${volume.metadata.name} is promised to a claim that is not there`)
  return { ...volume, spec: { ...spec, claimRef: { ...spec.claimRef, uid: claim.metadata.uid } } }
}

/**
 * What the volume controller writes on a claim once it is bound: first the status, then the mark.
 * Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#pv-kubernetes-io-bind-completed
 */
export function boundClaim(claim: KubernetesObject, volume: KubernetesObject) {
  const { apiVersion, kind } = claim
  const metadata = { name: claim.metadata.name, namespace: claim.metadata.namespace }
  const { accessModes, capacity } = volume.spec as VolumeSpec
  return {
    status: { apiVersion, kind, metadata, status: { phase: 'Bound', accessModes, capacity } },
    mark: { apiVersion, kind, metadata: { ...metadata, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } } },
  }
}
