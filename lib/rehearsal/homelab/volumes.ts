import { createHash } from 'node:crypto'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { Claim } from './apps.ts'

/** By the names of lib/rehearsal/file-servers.ts, so that a practice cluster can never mount a real one. */
const exports: Record<string, { server: string; path: string }> = {
  'fatboy-nfs-appdata': { server: 'fatboy.home.arpa', path: '/mnt/fatboy/appdata' },
  'truenas-nfs': { server: 'truenas.home.arpa', path: '/mnt/tank/media' },
  'synology-nfs': { server: 'synology.home.arpa', path: '/volume1/media' },
}

const localPathFolder = '/var/local-path-provisioner'
const localPathProvisioner = 'rancher.io/local-path'

/** A claim, and the volume that a provisioner would have made for it, already promised to each other. */
export function claimAndVolume(claim: Claim, namespace: string, nodeName: string): KubernetesObject[] {
  const volumeName = claim.volume ?? `pvc-${stableUuid(`${namespace}/${claim.name}`)}`
  const common = {
    accessModes: [claim.mode ?? (claim.class === 'local-path' ? 'ReadWriteOnce' : 'ReadWriteMany')],
    storageClassName: claim.class,
    volumeMode: 'Filesystem',
  }
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: claim.name,
        namespace,
        labels: claim.labels ?? {},
        annotations:
          claim.class === 'local-path'
            ? {
                'volume.kubernetes.io/selected-node': nodeName,
                'volume.kubernetes.io/storage-provisioner': localPathProvisioner,
              }
            : {},
      },
      spec: { ...common, resources: { requests: { storage: claim.size } }, volumeName },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volumeName, annotations: provisionedBy(claim) },
      spec: {
        ...common,
        capacity: { storage: claim.size },
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: claim.name },
        persistentVolumeReclaimPolicy: claim.class === 'local-path' ? 'Delete' : 'Retain',
        ...sourceOf(claim, namespace, volumeName, nodeName),
      },
    },
  ]
}

function provisionedBy(claim: Claim): Record<string, string> {
  if (claim.volume !== undefined) return {}
  const provisioner = claim.class === 'local-path' ? localPathProvisioner : `cluster.local/${claim.class}`
  return { 'pv.kubernetes.io/provisioned-by': provisioner }
}

function sourceOf(claim: Claim, namespace: string, volumeName: string, nodeName: string): Record<string, unknown> {
  if (claim.class !== 'local-path') {
    const nfs = exports[claim.class]
    if (!nfs) throw new Error(`claim ${namespace}/${claim.name}: no such storage class: ${claim.class}`)
    return { nfs: { server: nfs.server, path: `${nfs.path}/${claim.path ?? `${namespace}-${claim.name}`}` } }
  }
  const path = `${localPathFolder}/${localFolderName(namespace, claim.name, volumeName)}`
  const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] }]
  return {
    ...(claim.local ? { local: { path } } : { hostPath: { path, type: 'DirectoryOrCreate' } }),
    nodeAffinity: { required: { nodeSelectorTerms: terms } },
  }
}

/** How local-path-provisioner names a volume's folder. Source: its README, `pathPattern`'s default. */
export function localFolderName(namespace: string, claim: string, volume: string): string {
  return `${volume}_${namespace}_${claim}`
}

/** The same text makes the same id, so that the same fixture has the same volumes in every rehearsal. */
export function stableUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
