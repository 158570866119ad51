import type { Settings } from '../../settings.ts'
import type { KubernetesApi, KubernetesObject } from '../api.ts'
import { fencedOwners } from '../heeding.ts'
import {
  controllerOf,
  fullName,
  type Node,
  type NodeSelector,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type Workload,
} from '../kinds.ts'
import { isNodeReady } from '../nodes.ts'
import { controllersOf, describeOwner, isFinished, listPods, ownerOf } from '../pods.ts'
import { nodeOf, parseQuantity } from '../volumes.ts'
import { claimsOfTemplate } from '../workloads.ts'
import { type CopyNode, evacuationLabel, nameFor, type VolumePair } from './job.ts'

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

/** Where the copies are, or shall be. */
export interface Whither {
  readonly nodeName: Settings['nodeName']
  readonly storageClass: string
  /** The node whose disk a new copy is to lie on, if the class is local. */
  readonly copyNode?: CopyNode | null
  /** The copies are there, and are to be copied from. */
  readonly isBack?: boolean
}

/**
 * Finds for each claim (`namespace/name`) its volume, the node that holds it and the claim of its copy; or why it cannot be
 * copied: it is in use (by whom), it is a block device, the copy is too small, elsewhere or somebody else's, or its namespace lets no
 * pod be root.
 */
export async function pairUp(api: KubernetesApi, claims: readonly string[], whither: Whither): Promise<Pairing> {
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
    const pair = pairOf(claim, volume, whither, cluster)
    const why = whyNot(pair, claim, cluster) ?? whyNotIts(pair, whither, cluster)
    if (why) refusals.push({ claim: name, ...why })
    else pairs.push(pair)
  }
  return { pairs, refusals }
}

/** Who takes the copies in: a node, or the file server that serves their class, by its volumes; the class itself where no volume tells. */
export async function serverOf(
  api: KubernetesApi,
  { storageClass, copyNode }: Pick<VolumePair, 'storageClass' | 'copyNode'>,
): Promise<string> {
  if (copyNode) return copyNode.name
  const volumes = await api.list<PersistentVolume>('/api/v1/persistentvolumes')
  const servers = volumes
    .filter((volume) => volume.spec.storageClassName === storageClass)
    .flatMap(({ spec }) => spec.nfs?.server ?? spec.csi?.volumeAttributes?.server ?? [])
  return servers[0] ?? storageClass
}

interface Cluster {
  claims: Map<string, PersistentVolumeClaim>
  volumes: Map<string, PersistentVolume>
  nodes: Map<string, Node>
  namespaces: Map<string, KubernetesObject>
  users: Map<string, string>
}

async function look(api: KubernetesApi): Promise<Cluster> {
  const [fenced, claims, volumes, nodes, namespaces, pods, replicaSets, jobs] = await Promise.all([
    fencedOwners(api),
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    api.list<Node>('/api/v1/nodes'),
    api.list('/api/v1/namespaces'),
    listPods(api),
    api.list<Workload>('/apis/apps/v1/replicasets'),
    api.list<Workload>('/apis/batch/v1/jobs'),
  ])
  const users = new Map<string, string>()
  const controllers = controllersOf([...replicaSets, ...jobs])
  const isFenced = (pod: Pod) => fenced.has(controllerOf(pod)?.uid ?? '')
  for (const pod of pods.filter((each) => !isFinished(each) && !isOurs(each) && !isFenced(each))) {
    const who = describeOwner(ownerOf(pod, controllers), pod)
    for (const claim of claimsOfTemplate(pod.spec)) {
      users.set(`${pod.metadata.namespace}/${claim}`, `${who} (Pod ${pod.metadata.name})`)
    }
  }
  return {
    claims: new Map(claims.map((claim) => [fullName(claim), claim])),
    volumes: new Map(volumes.map((volume) => [volume.metadata.name, volume])),
    nodes: new Map(nodes.map((node) => [node.metadata.name, node])),
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
  { nodeName, storageClass, copyNode = null }: Whither,
  { claims, volumes }: Cluster,
): VolumePair {
  const node = nodeOf(volume) ?? nodeName
  const copy = nameFor('evacuated', claim.metadata.name)
  const copyVolume = volumes.get(claims.get(`${claim.metadata.namespace}/${copy}`)?.spec.volumeName ?? '')
  return {
    namespace: claim.metadata.namespace ?? '',
    claim: claim.metadata.name,
    volume: volume.metadata.name,
    size: volume.spec.capacity?.storage ?? claim.spec.resources?.requests?.storage ?? '1Gi',
    node,
    affinity: affinityOf(volume, node),
    copy,
    storageClass,
    copyNode: (copyVolume && nodeHolding(copyVolume)) ?? copyNode,
  }
}

/** Where a pod that mounts a volume has to go; `node`, if the volume does not say. */
export function affinityOf(volume: PersistentVolume, node: string): NodeSelector {
  const there = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }
  return volume.spec.nodeAffinity?.required ?? { nodeSelectorTerms: [there] }
}

function nodeHolding(volume: PersistentVolume): CopyNode | null {
  const name = nodeOf(volume)
  const affinity = volume.spec.nodeAffinity?.required
  return name !== null && affinity ? { name, affinity } : null
}

function whyNot(
  pair: VolumePair,
  claim: PersistentVolumeClaim,
  { namespaces, users }: Cluster,
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
  return null
}

function whyNotIts(pair: VolumePair, whither: Whither, cluster: Cluster): { why: string; inUse: boolean } | null {
  const why = whyNotItsCopy(pair, whither, cluster)
  return why === null ? null : { why, inUse: false }
}

/** What is wrong with the copy, which may not be there yet. */
function whyNotItsCopy(pair: VolumePair, whither: Whither, { claims, nodes }: Cluster): string | null {
  const copy = claims.get(`${pair.namespace}/${pair.copy}`)
  if (!copy) return whither.isBack ? `its copy ${pair.copy} is gone` : null
  if (!isOurs(copy)) return `there is a claim ${pair.copy} already, and it is not ours`
  if (copy.spec.storageClassName !== pair.storageClass) {
    return `its copy ${pair.copy} is of class ${copy.spec.storageClassName}: set EVACUATE_TO to that, or remove it`
  }
  const room = copy.status?.capacity?.storage ?? copy.spec.resources?.requests?.storage ?? '0'
  if (parseQuantity(room) < parseQuantity(pair.size))
    return `its copy ${pair.copy} has ${room}, and it has ${pair.size}`
  if (!pair.copyNode) return null
  const { name } = pair.copyNode
  if (!whither.isBack && name !== whither.copyNode?.name) {
    return `its copy ${pair.copy} lies on ${name}: set EVACUATE_NODE to that, or remove it`
  }
  const node = nodes.get(name)
  return node && isNodeReady(node) ? null : `its copy ${pair.copy} lies on ${name}, which is not Ready`
}
