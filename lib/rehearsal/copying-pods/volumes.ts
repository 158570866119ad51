import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../kubernetes/kinds.ts'
import type { Mount } from './sandbox.ts'

/** A pod's volumes, of the sources that copying pods have. */
export interface PodVolume {
  name: string
  persistentVolumeClaim?: { claimName: string }
  hostPath?: { path: string }
  secret?: { secretName: string }
}

/** What stands for the places that volumes lie in. */
export interface Places {
  /** The folder of the node's disk that its local volumes are in. */
  disk: string
  /** Stands for all file servers: SERVER/PATH below it is what they export. */
  nas: string
  /** What a kubelet keeps in memory. */
  memory: string
}

/** Where each of the pod's volumes is on this machine; what is missing, as a kubelet would say it. */
export async function mountsOf(
  api: KubernetesApi,
  pod: Pod,
  volumeMounts: readonly { name: string; mountPath: string; readOnly?: boolean }[],
  places: Places,
): Promise<{ mounts: Mount[]; missing: string | null }> {
  const volumes = new Map((pod.spec.volumes as PodVolume[]).map((volume) => [volume.name, volume]))
  const mounts: Mount[] = []
  for (const { name, mountPath, readOnly = false } of volumeMounts) {
    const { folder, isMade } = await folderOf(api, pod, volumes.get(name), places)
    if (isMade) mkdirSync(folder, { recursive: true })
    if (!existsSync(folder)) return { mounts, missing: `MountVolume.SetUp failed for volume "${name}": no such folder` }
    mounts.push({ from: folder, to: mountPath, readOnly })
  }
  return { mounts, missing: null }
}

async function folderOf(api: KubernetesApi, pod: Pod, volume: PodVolume | undefined, places: Places) {
  const local = (path: string) => join(places.disk, basename(path))
  if (volume?.hostPath) return { folder: local(volume.hostPath.path), isMade: true }
  const namespace = `/api/v1/namespaces/${pod.metadata.namespace}`
  if (volume?.secret)
    return secretFolder(await api.getOrNull(`${namespace}/secrets/${volume.secret.secretName}`), places)
  const claim = await api.get<PersistentVolumeClaim>(
    `${namespace}/persistentvolumeclaims/${volume?.persistentVolumeClaim?.claimName}`,
  )
  const { spec } = await api.get<PersistentVolume>(`/api/v1/persistentvolumes/${claim.spec.volumeName}`)
  if (spec.nfs) return { folder: join(places.nas, spec.nfs.server, spec.nfs.path), isMade: true }
  // The kubelet makes the folder of a hostPath volume, and not that of a local one.
  return { folder: local(spec.hostPath?.path ?? spec.local?.path ?? ''), isMade: spec.hostPath !== undefined }
}

function secretFolder(secret: KubernetesObject | null, { memory }: Places) {
  const folder = join(memory, `secret-${secret?.metadata.uid}`)
  if (!secret) return { folder, isMade: false }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [key, value] of Object.entries(secret.data as Record<string, string>)) {
    writeFileSync(join(folder, key), Buffer.from(value, 'base64'), { mode: 0o600 })
  }
  return { folder, isMade: true }
}
