import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { fullName, type PersistentVolume, type PersistentVolumeClaim, type Pod } from '../kubernetes/kinds.ts'
import { listPods } from '../kubernetes/pods.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import type { Velero } from './velero-installation.ts'

/** How Velero will take the data of a claim, or why it will not. */
export type VeleroCoverage = {
  claim: string
  volume: string | null
  by: 'file system' | 'CSI snapshot' | 'snapshot plugin' | null
  reason: string
}

interface Storage {
  readonly velero: Velero
  readonly snapshotClasses: readonly SnapshotClass[]
  readonly leftOut: ReadonlySet<string>
}

interface SnapshotClass extends KubernetesObject {
  driver: string
}

/** A volume as one pod mounts it. */
interface Mount {
  readonly pod: Pod
  readonly volume: string
}

const excludedLabel = 'velero.io/exclude-from-backup'
const included = 'backup.velero.io/backup-volumes'
const excluded = 'backup.velero.io/backup-volumes-excludes'

/**
 * What Velero's file system backup and its snapshots make of every claim, by the rules that it goes by itself.
 * Sources: https://velero.io/docs/main/file-system-backup/ , https://velero.io/docs/main/csi/ , https://velero.io/docs/main/resource-filtering/
 */
export async function coverageOf(api: KubernetesApi, velero: Velero): Promise<VeleroCoverage[]> {
  const [claims, volumes, pods, namespaces, snapshots] = await Promise.all([
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    listPods(api),
    api.list('/api/v1/namespaces', { labelSelector: `${excludedLabel}=true` }),
    servedResources(api, 'snapshot.storage.k8s.io', ['volumesnapshotclasses']),
  ])
  const [served] = snapshots
  const storage = {
    velero,
    snapshotClasses: served ? await api.list<SnapshotClass>(collectionPath(served)) : [],
    leftOut: new Set(namespaces.map(({ metadata }) => metadata.name)),
  }
  const byName = new Map(volumes.map((volume) => [volume.metadata.name, volume]))
  const mounts = mountsOf(pods)
  return claims.map((claim) => {
    const volume = byName.get(claim.spec.volumeName ?? '')
    const verdict = verdictOf(storage, claim, volume, mounts.get(fullName(claim)) ?? [])
    return { claim: fullName(claim), volume: volume?.metadata.name ?? null, ...verdict }
  })
}

function mountsOf(pods: readonly Pod[]): Map<string, Mount[]> {
  const mounts = new Map<string, Mount[]>()
  for (const pod of pods) {
    for (const { name, persistentVolumeClaim } of pod.spec.volumes ?? []) {
      if (!persistentVolumeClaim) continue
      const claim = `${pod.metadata.namespace}/${persistentVolumeClaim.claimName}`
      mounts.set(claim, [...(mounts.get(claim) ?? []), { pod, volume: name }])
    }
  }
  return mounts
}

type Verdict = Pick<VeleroCoverage, 'by' | 'reason'>
const not = (reason: string): Verdict => ({ by: null, reason })

function verdictOf(
  storage: Storage,
  claim: PersistentVolumeClaim,
  volume: PersistentVolume | undefined,
  mounts: readonly Mount[],
): Verdict {
  if (storage.leftOut.has(claim.metadata.namespace ?? '')) return not(`its namespace is labelled ${excludedLabel}`)
  if (isLeftOut(claim) || (volume && isLeftOut(volume))) return not(`it is labelled ${excludedLabel}`)
  if (!volume) return not('it has no volume')
  // A pod that is left out of the backup takes its volumes along.
  const chosen = mounts.filter((mount) => !isLeftOut(mount.pod) && isChosen(storage.velero, mount))
  if (chosen.length > 0) return byFileSystem(storage.velero, volume, chosen)
  const snapshot = bySnapshot(storage, claim, volume)
  if (snapshot.by !== null) return snapshot
  const reasons = [whyNotChosen(storage.velero, volume, mounts), snapshot.reason]
  return not(reasons.filter((reason) => reason !== '').join('; '))
}

const isLeftOut = ({ metadata }: KubernetesObject) => metadata.labels?.[excludedLabel] === 'true'

/** Opt-out where the server takes all volumes by default, opt-in where not. */
function isChosen({ allVolumesByDefault }: Velero, { pod, volume }: Mount): boolean {
  const listed = (annotation: string) => (pod.metadata.annotations?.[annotation] ?? '').split(',').includes(volume)
  return allVolumesByDefault ? !listed(excluded) : listed(included)
}

/** What is chosen for the file system is not taken as a snapshot, whether its file system can be read or not. */
function byFileSystem(velero: Velero, volume: PersistentVolume, mounts: readonly Mount[]): Verdict {
  if (volume.spec.hostPath) return not(hostPath)
  if (volume.spec.volumeMode === 'Block') return not('a block device: Velero backs up file systems only')
  const running = mounts.filter(({ pod }) => pod.status.phase === 'Running')
  if (running.length === 0) return not(`no running pod mounts it (${fullNameOfFirst(mounts)})`)
  const reachable = running.find(({ pod }) => velero.agentNodes.has(pod.spec.nodeName ?? ''))
  if (reachable) return { by: 'file system', reason: `mounted by ${fullName(reachable.pod)}` }
  const nodes = [...new Set(running.map(({ pod }) => pod.spec.nodeName ?? 'no node'))].join(', ')
  return not(`Velero's node agent does not run on ${nodes}`)
}

function bySnapshot(
  { velero, snapshotClasses }: Storage,
  claim: PersistentVolumeClaim,
  { spec }: PersistentVolume,
): Verdict {
  if (spec.csi && velero.csi) {
    const { driver } = spec.csi
    const snapshotClass = snapshotClassFor(driver, claim, snapshotClasses)
    if (snapshotClass) return { by: 'CSI snapshot', reason: `VolumeSnapshotClass ${snapshotClass}` }
    return not(`no VolumeSnapshotClass fits its CSI driver ${driver}`)
  }
  if (spec.csi && velero.snapshotLocations === 0)
    return not(`a volume of the CSI driver ${spec.csi.driver}, and Velero runs without EnableCSI`)
  // Of these nobody has snapshots, and nobody expects them.
  if (spec.nfs || spec.hostPath || spec.local || velero.snapshotLocations === 0) return not('')
  return { by: 'snapshot plugin', reason: 'if the plugin of a VolumeSnapshotLocation knows its kind' }
}

/** As Velero chooses: by the claim's annotation, by its label on the class, the default one, or the only one of the driver. */
function snapshotClassFor(
  driver: string,
  claim: PersistentVolumeClaim,
  classes: readonly SnapshotClass[],
): string | undefined {
  const fitting = classes.filter((each) => each.driver === driver)
  const named = claim.metadata.annotations?.['velero.io/csi-volumesnapshot-class']
  const chosen =
    fitting.find(({ metadata }) => metadata.name === named) ??
    fitting.find(({ metadata }) => metadata.labels?.['velero.io/csi-volumesnapshot-class'] !== undefined) ??
    fitting.find(
      ({ metadata }) => metadata.annotations?.['snapshot.storage.kubernetes.io/is-default-class'] !== undefined,
    ) ??
    (fitting.length === 1 ? fitting[0] : undefined)
  return chosen?.metadata.name
}

function whyNotChosen({ allVolumesByDefault }: Velero, volume: PersistentVolume, mounts: readonly Mount[]): string {
  if (volume.spec.hostPath) return hostPath
  const [first] = mounts
  if (first === undefined) return 'no running pod mounts it'
  if (mounts.every(({ pod }) => isLeftOut(pod))) return `its pod is labelled ${excludedLabel}`
  const choice = allVolumesByDefault ? `is in ${excluded}` : `is not in ${included}`
  return `${first.volume} ${choice} of ${fullNameOfFirst(mounts)}`
}

const hostPath = 'hostPath, which file system backup leaves out'

const fullNameOfFirst = ([first]: readonly Mount[]) => (first ? `Pod ${fullName(first.pod)}` : 'no pod')
