import pMap from 'p-map'
import { findSecretStores, type SecretStore } from '../backup/dependencies/secret-stores.ts'
import { readArgoCd, servedArgoKinds } from '../gitops/argocd.ts'
import { readFlux, servedFluxKinds } from '../gitops/flux.ts'
import { ApiError, type KubernetesApi } from '../kubernetes/api.ts'
import { type Discovery, discover } from '../kubernetes/discovery.ts'
import { drainOptions } from '../kubernetes/drain-options.ts'
import { type DrainOutlook, lookAhead } from '../kubernetes/drain-outlook.ts'
import { fullName, type Node } from '../kubernetes/kinds.ts'
import { isNodeReady, listNodes } from '../kubernetes/nodes.ts'
import { listPods } from '../kubernetes/pods.ts'
import { readerOf, specOf } from '../kubernetes/reader.ts'
import { readVolumes, type VolumeOutlook } from '../kubernetes/volumes.ts'
import { findStateful, type StatefulWorkload } from '../kubernetes/workloads.ts'
import type { Clock } from '../migration/clock.ts'
import { redact } from '../migration/redact.ts'
import type { Settings } from '../settings.ts'
import { readHosts } from '../verify/hosts.ts'

/** What is in the cluster, as far as the plan speaks of it. */
export interface Inventory {
  readonly nodes: readonly Node[]
  readonly namespaces: number
  readonly objects: number
  readonly volumes: readonly VolumeOutlook[]
  readonly stateful: readonly StatefulWorkload[]
  readonly outlook: DrainOutlook
  readonly flux: number
  readonly applications: number
  readonly hosts: readonly string[]
  readonly liqo: boolean
  readonly nebula: boolean
  /** pods on the node with an emptyDir, `namespace/name` */
  readonly scratch: readonly string[]
  /** where Git repositories are that Flux follows */
  readonly gitSources: readonly string[]
  readonly secretStores: readonly SecretStore[]
}

/**
 * Reads it all at once.
 * @param evacuated claims whose data was copied off the machine in the run under way
 */
export async function takeInventory(
  api: KubernetesApi,
  settings: Settings,
  clock: Clock,
  evacuated: ReadonlySet<string>,
): Promise<Inventory> {
  const [stateful, discovery] = await Promise.all([findStateful(api, settings), discover(api)])
  const ahead = { ...drainOptions({}, settings), scaledDown: stateful, now: clock.now() }
  const [nodes, namespaces, objects, volumes, outlook, flux, applications, hosts, origins] = await Promise.all([
    listNodes(api),
    api.list('/api/v1/namespaces'),
    countObjects(api, discovery),
    readVolumes(api, settings, evacuated),
    lookAhead(api, [settings.nodeName], ahead),
    servedFluxKinds(api).then((kinds) => readFlux(api, kinds)),
    servedArgoKinds(api).then((kinds) => readArgoCd(api, kinds)),
    readHosts(api),
    findOrigins(api, discovery, settings.nodeName, clock),
  ])
  return {
    ...origins,
    nodes,
    namespaces: namespaces.length,
    objects,
    volumes,
    stateful,
    outlook,
    flux: flux.length,
    applications: applications.length,
    hosts: hosts.map(({ host }) => host),
    liqo: discovery.resources.some(({ group }) => group.endsWith('liqo.io')),
    nebula: namespaces.some(({ metadata }) => metadata.name.includes('nebula')),
  }
}

/** What outlives the machine because it lies elsewhere, and what goes with each pod. */
async function findOrigins(api: KubernetesApi, discovery: Discovery, node: string, clock: Clock) {
  const reader = readerOf(api, discovery, clock)
  const [pods, gitSources, secretStores] = await Promise.all([
    listPods(api),
    reader.pick('source.toolkit.fluxcd.io', 'gitrepositories', (each) => [redact(String(specOf(each).url ?? ''))]),
    findSecretStores(reader),
  ])
  const scratch = pods
    .filter(({ spec }) => spec.nodeName === node && spec.volumes?.some(({ emptyDir }) => emptyDir !== undefined))
    .map(fullName)
  return { scratch, gitSources, secretStores }
}

/** As rows of a table: what, how much. */
export function inventoryRows(inventory: Inventory): string[][] {
  const { nodes, namespaces, objects, volumes, stateful, outlook, flux, applications, hosts } = inventory
  return [
    ['Nodes', nodes.map(describeNode).join(', ')],
    ['Namespaces', String(namespaces)],
    ['API objects', String(objects)],
    ['Volumes', `${volumes.length} claims`],
    ['Stateful workloads that run', String(stateful.length)],
    ['Pods to evict', `${outlook.evicted.length} from ${outlook.nodes.join(', ')}`],
    ['Flux', flux === 0 ? 'not installed' : `${flux} objects`],
    ['Argo CD', applications === 0 ? 'not installed' : `${applications} Applications and ApplicationSets`],
    [
      'Ingress hosts',
      hosts.length === 0 ? 'none' : `${hosts.length}: ${hosts.slice(0, 6).join(', ')}${hosts.length > 6 ? ', …' : ''}`,
    ],
    ['Liqo', inventory.liqo ? 'installed' : 'not installed'],
    ['Nebula', inventory.nebula ? 'installed' : 'not installed'],
  ]
}

function describeNode(node: Node): string {
  const { kubeletVersion = '', osImage = '' } = node.status?.nodeInfo ?? {}
  return `${node.metadata.name} (${[kubeletVersion, osImage, isNodeReady(node) ? 'ready' : 'NOT ready'].filter(Boolean).join(', ')})`
}

/**
 * Asks for one object of each resource; how many more there are, the API server says by itself. What cannot be read counts as none.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/list-meta/ (remainingItemCount)
 */
export async function countObjects(api: KubernetesApi, { resources }: Pick<Discovery, 'resources'>): Promise<number> {
  const counts = await pMap(resources, ({ path }) => countOf(api, path), { concurrency: 16 })
  return counts.reduce((sum, count) => sum + count, 0)
}

async function countOf(api: KubernetesApi, path: string): Promise<number> {
  try {
    const list = await api.get<{ items?: unknown[]; metadata?: { remainingItemCount?: number } }>(path, { limit: 1 })
    return (list.items?.length ?? 0) + (list.metadata?.remainingItemCount ?? 0)
  } catch (error) {
    if (error instanceof ApiError) return 0
    throw error
  }
}
