import { ApiError, type KubernetesApi } from '../../kubernetes/api.ts'
import { evacuationLabel } from '../../kubernetes/evacuation/job.ts'
import type { PersistentVolumeClaim } from '../../kubernetes/kinds.ts'

/** One of the practice cluster's file servers. */
const server = 'fatboy.home.arpa'
const localPath = 'rancher.io/local-path'

/**
 * Makes a volume for every copy's claim that has none: as the provisioner of an NFS class does, or as that of local-path, which waits for
 * the node that the scheduler has chosen for the first pod.
 * Source: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
 */
export async function provisionCopies(api: KubernetesApi): Promise<void> {
  const claims = await api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims', {
    labelSelector: `${evacuationLabel}=copy`,
  })
  const waiting = claims.filter(({ metadata, spec }) => spec.volumeName === undefined && !metadata.deletionTimestamp)
  if (waiting.length === 0) return
  const classes = await api.list('/apis/storage.k8s.io/v1/storageclasses')
  const provisioners = new Map(classes.map((each) => [each.metadata.name, String(each.provisioner)]))
  for (const claim of waiting) {
    const provisioner = provisioners.get(claim.spec.storageClassName ?? '') ?? ''
    const node = claim.metadata.annotations?.['volume.kubernetes.io/selected-node']
    if (provisioner === localPath && node === undefined) continue
    const volume = volumeFor(
      claim,
      provisioner,
      provisioner === localPath ? onDisk(claim, node ?? '') : onServer(claim),
    )
    await api.create('/api/v1/persistentvolumes', volume).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 409)) throw error
    })
  }
}

function volumeFor(claim: PersistentVolumeClaim, provisioner: string, source: Record<string, unknown>) {
  const { namespace, name, uid } = claim.metadata
  const { storageClassName, resources, accessModes } = claim.spec
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `pvc-${uid}`, annotations: { 'pv.kubernetes.io/provisioned-by': provisioner } },
    spec: {
      accessModes,
      capacity: { storage: resources?.requests?.storage },
      storageClassName,
      volumeMode: 'Filesystem',
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      ...source,
    },
  }
}

function onServer({ metadata }: PersistentVolumeClaim) {
  return { nfs: { server, path: `/mnt/fatboy/appdata/${metadata.namespace}-${metadata.name}` } }
}

function onDisk({ metadata }: PersistentVolumeClaim, node: string) {
  const { namespace, name, uid } = metadata
  const here = { key: 'kubernetes.io/hostname', operator: 'In', values: [node] }
  return {
    hostPath: {
      path: `/var/local-path-provisioner/pvc-${uid}_${namespace}_${name}`,
      type: 'DirectoryOrCreate',
    },
    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [here] }] } },
  }
}
