import type { Settings } from '../../settings.ts'
import type { KubernetesApi, KubernetesObject } from '../api.ts'
import { fullName, type PersistentVolume, type PersistentVolumeClaim, type Workload } from '../kinds.ts'
import { controllersOf, describeOwner, isFinished, listPods, ownerOf } from '../pods.ts'
import { nodeOf, parseQuantity } from '../volumes.ts'
import { claimsOfTemplate } from '../workloads.ts'
import { evacuationLabel, nameFor, type VolumePair } from './job.ts'

/** Why a volume cannot be copied now. `inUse` passes when its workload is scaled down. */
export interface Refusal {
  readonly claim: string
  readonly why: string
  readonly inUse: boolean
}

export interface Pairing {
  readonly pairs: readonly VolumePair[]
  readonly refusals: readonly Refusal[]
}

/**
 * Finds for each claim (`namespace/name`) its volume, the node that holds it and the claim of its copy; or why it cannot be
 * copied: it is in use (by whom), it is a block device, the copy is too small or somebody else's, or its namespace lets no
 * pod be root.
 */
export async function pairUp(
  api: KubernetesApi,
  claims: readonly string[],
  { nodeName, storageClass }: { nodeName: Settings['nodeName']; storageClass: string },
): Promise<Pairing> {
  const cluster = await look(api)
  const pairs: VolumePair[] = []
  const refusals: Refusal[] = []
  for (const name of claims) {
    const claim = cluster.claims.get(name)
    const volume = cluster.volumes.get(claim?.spec.volumeName ?? '')
    if (!claim || !volume) {
      refusals.push({ claim: name, why: claim ? 'its volume is gone' : 'there is no such claim', inUse: false })
      continue
    }
    const pair = pairOf(claim, volume, nodeName, storageClass)
    const why = whyNot(pair, claim, cluster)
    if (why) refusals.push({ claim: name, ...why })
    else pairs.push(pair)
  }
  return { pairs, refusals }
}

/** The file server that serves a class, by its volumes; the class itself where no volume tells. */
export async function serverOf(api: KubernetesApi, storageClass: string): Promise<string> {
  const volumes = await api.list<PersistentVolume>('/api/v1/persistentvolumes')
  const servers = volumes
    .filter((volume) => volume.spec.storageClassName === storageClass)
    .flatMap(({ spec }) => spec.nfs?.server ?? spec.csi?.volumeAttributes?.server ?? [])
  return servers[0] ?? storageClass
}

interface Cluster {
  claims: Map<string, PersistentVolumeClaim>
  volumes: Map<string, PersistentVolume>
  namespaces: Map<string, KubernetesObject>
  users: Map<string, string>
}

async function look(api: KubernetesApi): Promise<Cluster> {
  const [claims, volumes, namespaces, pods, replicaSets, jobs] = await Promise.all([
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    api.list('/api/v1/namespaces'),
    listPods(api),
    api.list<Workload>('/apis/apps/v1/replicasets'),
    api.list<Workload>('/apis/batch/v1/jobs'),
  ])
  const users = new Map<string, string>()
  const controllers = controllersOf([...replicaSets, ...jobs])
  for (const pod of pods.filter((each) => !isFinished(each) && !isOurs(each))) {
    const who = describeOwner(ownerOf(pod, controllers), pod)
    for (const claim of claimsOfTemplate(pod.spec)) {
      users.set(`${pod.metadata.namespace}/${claim}`, `${who} (Pod ${pod.metadata.name})`)
    }
  }
  return {
    claims: new Map(claims.map((claim) => [fullName(claim), claim])),
    volumes: new Map(volumes.map((volume) => [volume.metadata.name, volume])),
    namespaces: new Map(namespaces.map((namespace) => [namespace.metadata.name, namespace])),
    users,
  }
}

function isOurs(object: KubernetesObject): boolean {
  return object.metadata.labels?.[evacuationLabel] !== undefined
}

function pairOf(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  nodeName: string,
  storageClass: string,
): VolumePair {
  const node = nodeOf(volume) ?? nodeName
  const there = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }
  return {
    namespace: claim.metadata.namespace ?? '',
    claim: claim.metadata.name,
    volume: volume.metadata.name,
    size: volume.spec.capacity?.storage ?? claim.spec.resources?.requests?.storage ?? '1Gi',
    node,
    affinity: volume.spec.nodeAffinity?.required ?? { nodeSelectorTerms: [there] },
    copy: nameFor('evacuated', claim.metadata.name),
    storageClass,
  }
}

function whyNot(
  pair: VolumePair,
  claim: PersistentVolumeClaim,
  { claims, namespaces, users }: Cluster,
): { why: string; inUse: boolean } | null {
  const never = (why: string) => ({ why, inUse: false })
  const user = users.get(fullName(claim))
  if (user !== undefined) return { why: `in use by ${user}`, inUse: true }
  if (claim.spec.volumeMode === 'Block') return never('a block device: there are no files to copy')
  const namespace = namespaces.get(pair.namespace)
  if (namespace?.metadata.deletionTimestamp) return never(`namespace ${pair.namespace} is being deleted`)
  if (namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce'] === 'restricted') {
    return never(
      `namespace ${pair.namespace} enforces PodSecurity restricted: no pod there may be root and keep owners`,
    )
  }
  const copy = claims.get(`${pair.namespace}/${pair.copy}`)
  if (!copy) return null
  if (!isOurs(copy)) return never(`there is a claim ${pair.copy} already, and it is not ours`)
  if (copy.spec.storageClassName !== pair.storageClass) {
    return never(
      `its copy ${pair.copy} is of class ${copy.spec.storageClassName}: set EVACUATE_TO to that, or remove it`,
    )
  }
  const room = copy.status?.capacity?.storage ?? copy.spec.resources?.requests?.storage ?? '0'
  if (parseQuantity(room) < parseQuantity(pair.size))
    return never(`its copy ${pair.copy} has ${room}, and it has ${pair.size}`)
  return null
}
