import pMap from 'p-map'
import { readArgoCd, servedArgoKinds } from '../gitops/argocd.ts'
import { readFlux, servedFluxKinds } from '../gitops/flux.ts'
import { ApiError, type KubernetesApi } from '../kubernetes/api.ts'
import { discover } from '../kubernetes/discovery.ts'
import { drainOptions } from '../kubernetes/drain-options.ts'
import { type DrainOutlook, lookAhead } from '../kubernetes/drain-outlook.ts'
import type { Node } from '../kubernetes/kinds.ts'
import { isNodeReady, listNodes } from '../kubernetes/nodes.ts'
import { readVolumes, type VolumeOutlook } from '../kubernetes/volumes.ts'
import { findStateful, type StatefulWorkload } from '../kubernetes/workloads.ts'
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
}

/**
 * Reads it all at once.
 * @param evacuated claims whose data was copied off the machine in the run under way
 */
export async function takeInventory(
  api: KubernetesApi,
  settings: Settings,
  now: Date,
  evacuated: ReadonlySet<string>,
): Promise<Inventory> {
  const stateful = await findStateful(api, settings)
  const [nodes, namespaces, objects, volumes, outlook, flux, applications, hosts, groups] = await Promise.all([
    listNodes(api),
    api.list('/api/v1/namespaces'),
    countObjects(api),
    readVolumes(api, settings, evacuated),
    lookAhead(api, [settings.nodeName], { ...drainOptions({}, settings), scaledDown: stateful, now }),
    servedFluxKinds(api).then((kinds) => readFlux(api, kinds)),
    servedArgoKinds(api).then((kinds) => readArgoCd(api, kinds)),
    readHosts(api),
    api.get<{ groups: { name: string }[] }>('/apis'),
  ])
  return {
    nodes,
    namespaces: namespaces.length,
    objects,
    volumes,
    stateful,
    outlook,
    flux: flux.length,
    applications: applications.length,
    hosts: hosts.map(({ host }) => host),
    liqo: groups.groups.some(({ name }) => name.endsWith('liqo.io')),
    nebula: namespaces.some(({ metadata }) => metadata.name.includes('nebula')),
  }
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
export async function countObjects(api: KubernetesApi): Promise<number> {
  const { resources } = await discover(api)
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
