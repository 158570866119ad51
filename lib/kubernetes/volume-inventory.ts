import type { Settings } from '../settings.ts'
import type { KubernetesApi } from './api.ts'
import { fullName, type PersistentVolume, type PersistentVolumeClaim } from './kinds.ts'
import { fateOf, nodeOf, usersOfClaims, type VolumeFate } from './volumes.ts'

/** Where the bytes of a volume lie. */
export type VolumePlace =
  | { type: 'nfs'; server: string; path: string }
  | { type: 'local' | 'hostPath'; path: string; node: string | null }
  | { type: 'csi'; driver: string; handle: string }
  | { type: 'other'; field: string }

/** A PersistentVolume with its claim, or one of the two alone. */
export type VolumeRecord = {
  /** null: a claim that has no volume */
  volume: string | null
  /** null: a volume that nobody has claimed */
  claim: string | null
  storageClass: string
  /** as a quantity: 10Gi */
  size: string
  /** Filesystem or Block */
  mode: string
  accessModes: string[]
  place: VolumePlace | null
  /** what becomes of the data when its claim is deleted; null without a volume */
  reclaimPolicy: string | null
  /** the volume's; the claim's where there is no volume */
  phase: string
  /** what becomes of the data when the old machine goes */
  fate: VolumeFate
  /** workloads, as `Kind namespace/name` */
  usedBy: string[]
}

/**
 * Every PersistentVolume, bound or not, and every claim without one.
 * Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
 */
export async function takeVolumeInventory(
  api: KubernetesApi,
  settings: Pick<Settings, 'localStorageClasses' | 'nfsStorageClasses' | 'nodeName'>,
): Promise<VolumeRecord[]> {
  const [claims, volumes, users] = await Promise.all([
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    usersOfClaims(api),
  ])
  const record = (volume: PersistentVolume | undefined, claim: PersistentVolumeClaim | undefined): VolumeRecord => {
    const { spec } = volume ?? claim ?? {}
    const storageClass = spec?.storageClassName ?? ''
    const claimed = volume?.spec.claimRef
    const name = claim ? fullName(claim) : claimed ? `${claimed.namespace}/${claimed.name}` : null
    return {
      volume: volume?.metadata.name ?? null,
      claim: name,
      storageClass,
      size: volume?.spec.capacity?.storage ?? claim?.spec.resources?.requests?.storage ?? '0',
      mode: spec?.volumeMode ?? 'Filesystem',
      accessModes: spec?.accessModes ?? [],
      place: volume ? placeOf(volume) : null,
      reclaimPolicy: volume?.spec.persistentVolumeReclaimPolicy ?? null,
      phase: volume?.status?.phase ?? claim?.status?.phase ?? 'Unknown',
      fate: volume ? fateOf(storageClass, volume, settings) : 'unknown',
      usedBy: claim ? (users.get(fullName(claim)) ?? []) : [],
    }
  }
  const byVolume = new Map(claims.map((claim) => [claim.spec.volumeName, claim]))
  const names = new Set(volumes.map(({ metadata }) => metadata.name))
  return [
    ...volumes.map((volume) => record(volume, claimOf(volume, byVolume))),
    ...claims.filter(({ spec }) => !names.has(spec.volumeName ?? '')).map((claim) => record(undefined, claim)),
  ]
}

/** In one line, for the operator; the whole is in volumes.json. */
export function describeVolumes(volumes: readonly VolumeRecord[]): string[] {
  const count = (fate: VolumeFate) => volumes.filter((each) => each.volume !== null && each.fate === fate).length
  const unclaimed = volumes.filter(({ volume, phase }) => volume !== null && phase !== 'Bound').length
  const waiting = volumes.filter(({ volume }) => volume === null).length
  const parts = [
    `${count('preserved')} outside of the old machine`,
    `${count('lost')} on its disk`,
    `${count('unknown')} of unknown whereabouts`,
    ...(unclaimed > 0 ? [`${unclaimed} bound to no claim`] : []),
    ...(waiting > 0 ? [`${waiting} claims without a volume`] : []),
  ]
  return [`Volumes: ${parts.join(', ')}.`]
}

/** The claim that the volume is bound to: a claim made anew under the old name is another one, and the volume is Released. */
function claimOf(
  volume: PersistentVolume,
  byVolume: ReadonlyMap<string | undefined, PersistentVolumeClaim>,
): PersistentVolumeClaim | undefined {
  const claim = byVolume.get(volume.metadata.name)
  const promised = volume.spec.claimRef
  const same = promised?.namespace === claim?.metadata.namespace && promised?.name === claim?.metadata.name
  return claim && same ? claim : undefined
}

function placeOf(volume: PersistentVolume): VolumePlace {
  const { nfs, local, hostPath, csi } = volume.spec
  if (nfs) return { type: 'nfs', server: nfs.server, path: nfs.path }
  if (local) return { type: 'local', path: local.path, node: nodeOf(volume) }
  if (hostPath) return { type: 'hostPath', path: hostPath.path, node: nodeOf(volume) }
  if (csi) return { type: 'csi', driver: csi.driver, handle: csi.volumeHandle }
  const field = Object.keys(volume.spec).find((name) => !common.has(name))
  return { type: 'other', field: field ?? 'none' }
}

/** The fields of a PersistentVolume's spec that are not its source. */
const common = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
])
