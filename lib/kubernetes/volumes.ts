import type { Settings } from '../settings.ts'
import type { KubernetesApi } from './api.ts'
import { type CronJob, fullName, type PersistentVolume, type PersistentVolumeClaim, type Workload } from './kinds.ts'
import { controllersOf, describeOwner, listPods, ownerOf } from './pods.ts'
import { claimsOfTemplate, listScalable } from './workloads.ts'

/**
 * What becomes of a volume's data when its machine is replaced. `evacuated`: it was copied off the machine in this run.
 * `empty`: the claim has no volume yet. `unknown`: nobody has said where its class keeps its data.
 */
export type VolumeFate = 'lost' | 'evacuated' | 'preserved' | 'unknown' | 'empty'

export interface VolumeOutlook {
  /** `namespace/name` */
  readonly claim: string
  readonly volume: string
  readonly storageClass: string
  readonly size: string
  readonly bytes: number
  readonly where: string
  readonly fate: VolumeFate
  /** The entry of ACCEPT_DATA_LOSS that gives this claim up; null if none does. */
  readonly acceptedBy: string | null
  readonly usedBy: readonly string[]
}

/** What decides about the fate of volumes. */
export type FateSettings = Pick<Settings, 'nodeName' | 'localStorageClasses' | 'nfsStorageClasses' | 'acceptDataLoss'>

/**
 * Every claim with its volume, its size, who uses it, and whether its data survives new hardware. Data on the node's
 * own disk (a local or hostPath volume, or a class of LOCAL_STORAGE_CLASSES) is not in etcd, so no snapshot brings it
 * back: the claim stays Bound, its folder is empty. That of another node stays where it is.
 * @param evacuated claims whose data was copied off the machine in this run
 */
export async function readVolumes(
  api: KubernetesApi,
  settings: FateSettings,
  evacuated: ReadonlySet<string> = new Set(),
): Promise<VolumeOutlook[]> {
  const [claims, volumes, users] = await Promise.all([
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    usersOfClaims(api),
  ])
  const byName = new Map(volumes.map((volume) => [volume.metadata.name, volume]))
  return claims.map((claim) => {
    const volume = byName.get(claim.spec.volumeName ?? '')
    const size = claim.status?.capacity?.storage ?? claim.spec.resources?.requests?.storage ?? '0'
    return {
      claim: fullName(claim),
      volume: claim.spec.volumeName ?? '',
      storageClass: claim.spec.storageClassName ?? '',
      size,
      bytes: parseQuantity(size),
      where: whereOf(volume),
      fate: fateOfClaim(claim, volume, settings, evacuated),
      acceptedBy: settings.acceptDataLoss.find((pattern) => matchesClaim(pattern, fullName(claim))) ?? null,
      usedBy: users.get(fullName(claim)) ?? [],
    }
  })
}

/** Whether an entry of ACCEPT_DATA_LOSS, such as `monitoring/*`, means this claim (`namespace/name`). */
export function matchesClaim(pattern: string, claim: string): boolean {
  const literal = (text: string) => text.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&')
  return new RegExp(`^${pattern.split('*').map(literal).join('[^/]*')}$`).test(claim)
}

/**
 * Bytes of a quantity such as `10Gi` or `500M`; 0 if it is none.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function parseQuantity(text: string): number {
  const parts = /^(\d+(?:\.\d+)?)([KMGTPE]i?|[kmun])?$/.exec(text)
  if (!parts) return 0
  const unit = parts[2] ?? ''
  const binary = unit.endsWith('i')
  const power = ['', 'K', 'M', 'G', 'T', 'P', 'E'].indexOf(unit.replace('i', '').replace('k', 'K'))
  if (power < 0) return 0
  return Math.round(Number(parts[1]) * (binary ? 1024 : 1000) ** power)
}

/**
 * Claims by name, each with the workloads whose template mounts it, and with the pods' owners for whatever has no
 * template.
 */
export async function usersOfClaims(api: KubernetesApi): Promise<Map<string, string[]>> {
  const [workloads, cronJobs, pods, intermediates] = await Promise.all([
    listScalable(api),
    api.list<CronJob>('/apis/batch/v1/cronjobs'),
    listPods(api),
    Promise.all([api.list<Workload>('/apis/apps/v1/replicasets'), api.list<Workload>('/apis/batch/v1/jobs')]),
  ])
  const users = new Map<string, Set<string>>()
  const add = (claim: string, user: string) => users.set(claim, (users.get(claim) ?? new Set<string>()).add(user))
  for (const { kind, namespace, name, claims } of workloads) {
    for (const claim of claims) add(`${namespace}/${claim}`, `${kind} ${namespace}/${name}`)
  }
  for (const { metadata, spec } of cronJobs) {
    const template = spec.jobTemplate?.spec?.template?.spec
    for (const claim of claimsOfTemplate(template)) {
      add(`${metadata.namespace}/${claim}`, `CronJob ${metadata.namespace}/${metadata.name}`)
    }
  }
  const controllers = controllersOf(intermediates.flat())
  for (const pod of pods) {
    const owner = describeOwner(ownerOf(pod, controllers), pod)
    for (const claim of claimsOfTemplate(pod.spec)) add(`${pod.metadata.namespace}/${claim}`, owner)
  }
  return new Map([...users].map(([claim, names]) => [claim, [...names]]))
}

function fateOfClaim(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume | undefined,
  settings: FateSettings,
  evacuated: ReadonlySet<string>,
): VolumeFate {
  const { storageClassName: storageClass = '', volumeName = '' } = claim.spec
  if (volumeName === '') return 'empty'
  const fate = fateOf(storageClass, volume, settings)
  return fate === 'lost' && evacuated.has(fullName(claim)) ? 'evacuated' : fate
}

/** The drivers whose volumes are exports of a file server: nothing of them lies on a node. */
const fileServerDrivers: readonly string[] = ['nfs.csi.k8s.io', 'smb.csi.k8s.io', 'org.democratic-csi.nfs']

/** @param storageClass of the claim, where there is one, for the classes that the settings name */
export function fateOf(
  storageClass: string,
  volume: PersistentVolume | undefined,
  settings: Pick<Settings, 'localStorageClasses' | 'nfsStorageClasses' | 'nodeName'>,
): 'lost' | 'preserved' | 'unknown' {
  const { local, hostPath, nfs, csi } = volume?.spec ?? {}
  if (local || hostPath || settings.localStorageClasses.includes(storageClass)) {
    const node = volume ? nodeOf(volume) : null
    return node === null || node === settings.nodeName ? 'lost' : 'preserved'
  }
  if (nfs || settings.nfsStorageClasses.includes(storageClass)) return 'preserved'
  return csi && fileServerDrivers.includes(csi.driver) ? 'preserved' : 'unknown'
}

/** The one node that the volume can be used on; null if that is not one. */
export function nodeOf(volume: PersistentVolume): string | null {
  const terms = volume.spec.nodeAffinity?.required?.nodeSelectorTerms ?? []
  const names = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.flatMap(({ key, operator, values = [] }) =>
      key === 'kubernetes.io/hostname' && operator === 'In' ? values : [],
    ),
  )
  return names.length === 1 ? (names[0] ?? null) : null
}

function whereOf(volume: PersistentVolume | undefined): string {
  const { nfs, local, hostPath } = volume?.spec ?? {}
  if (nfs) return `${nfs.server}:${nfs.path}`
  return local?.path ?? hostPath?.path ?? ''
}
