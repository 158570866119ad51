import { ApiError, type KubernetesApi } from '../../kubernetes/api.ts'
import { evacuationLabel } from '../../kubernetes/evacuation/job.ts'
import type { PersistentVolumeClaim } from '../../kubernetes/kinds.ts'

/** Of TEST-NET-1 (RFC 5737), as the practice cluster's other file servers. */
const server = '192.0.2.20'

/** Makes a volume for every copy's claim that has none, as the provisioner of an NFS class does. */
export async function provisionCopies(api: KubernetesApi): Promise<void> {
  const claims = await api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims', {
    labelSelector: `${evacuationLabel}=copy`,
  })
  for (const claim of claims) {
    if (claim.spec.volumeName !== undefined || claim.metadata.deletionTimestamp) continue
    const { namespace, name, uid } = claim.metadata
    const { storageClassName, resources } = claim.spec
    const volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: {
        name: `pvc-${uid}`,
        annotations: { 'pv.kubernetes.io/provisioned-by': `cluster.local/${storageClassName}` },
      },
      spec: {
        accessModes: ['ReadWriteMany'],
        capacity: { storage: resources?.requests?.storage },
        storageClassName,
        volumeMode: 'Filesystem',
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
        nfs: { server, path: `/mnt/fatboy/appdata/${namespace}-${name}` },
      },
    }
    await api.create('/api/v1/persistentvolumes', volume).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 409)) throw error
    })
  }
}
