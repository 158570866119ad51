import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { Node } from '../../kubernetes/kinds.ts'
import { isVirtual } from '../../kubernetes/nodes.ts'
import type { Migration } from '../../migration/migration.ts'
import { concerning, concerns } from './peering.ts'
import { calledSide, type LiqoObject, type LiqoResource, liqoObjects, remoteClusterLabel, type Side } from './side.ts'

/** In the order in which they are best removed: what uses something goes before it. */
const resources: readonly LiqoResource[] = [
  ...(['shadowpods', 'virtualnodes', 'namespacemaps', 'resourceslices', 'quotas', 'identities', 'tenants'] as const),
  ...(['publickeys', 'connections', 'gatewayclients', 'gatewayservers', 'configurations', 'foreignclusters'] as const),
]

/** Something of a peering that is still there, and on which side. */
export interface LeftOver extends LiqoObject {
  readonly side: Side
}

/**
 * Everything of the peering with another cluster that a side still holds: Liqo's objects, virtual nodes, and the namespaces of the peering.
 * The installation's own namespace and the objects of other peerings are not among it.
 */
export async function leftOvers(side: Side, other: string): Promise<LeftOver[]> {
  const namespaces = await namespacesOf(side, other)
  const tenants = new Set(namespaces.map(({ object }) => object.metadata.name))
  const found: LiqoObject[] = []
  for (const resource of resources) {
    const all = await liqoObjects(side, resource)
    found.push(...all.filter(({ object }) => concerns(object, other) || tenants.has(object.metadata.namespace ?? '')))
    if (resource === 'virtualnodes') found.push(...(await nodesOf(side, other)))
  }
  return [...found, ...namespaces].map((one) => ({ ...one, side }))
}

/**
 * Waits until neither side holds anything of the peering any more.
 * @throws OperatorError after LIQO_TIMEOUT, naming what is left and on which side
 */
export async function nothingIsLeft(migration: Migration, sides: readonly Side[], peers: Peers): Promise<void> {
  await migration.wait({
    name: `nothing of the peering between ${peers.here} and ${peers.there} is left`,
    timeoutSeconds: migration.settings.liqoTimeout,
    everyMs: 1000,
    hint: 'Liqo may still be at work: the same command waits on. To remove what is named, finalizers included: task migrate:unpeer -- --remove-orphans',
    probe: async () => {
      const left = (await Promise.all(sides.map((side) => leftOvers(side, otherOf(side, peers))))).flat()
      return left.length === 0 ? { met: true, value: undefined } : { met: false, saw: describeLeftOvers(left) }
    },
  })
}

/** What both clusters of a peering are called. */
export interface Peers {
  readonly here: string
  readonly there: string
}

export function otherOf(side: Side, peers: Peers): string {
  return side.name === 'here' ? peers.there : peers.here
}

/** `tenants.authentication.liqo.io liqo-tenant-x/x in the other cluster (aws)`. */
export function calledLeftOver({ resource, object, side }: LeftOver): string {
  const { namespace, name } = object.metadata
  return `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name} in ${calledSide(side)}`
}

const shownAtOnce = 12

export function describeLeftOvers(left: readonly LeftOver[]): string {
  const names = left.slice(0, shownAtOnce).map(calledLeftOver)
  const more = left.length > shownAtOnce ? [`and ${left.length - shownAtOnce} more`] : []
  return [...names, ...more].join(', ')
}

/** Whether the side still knows the other cluster at all: without that, liqoctl has nothing to unpeer from. */
export async function knows(side: Side, other: string): Promise<boolean> {
  return (await concerning(side, 'foreignclusters', other)).length > 0
}

/** The tenant namespace, and on a provider those that were offloaded into it. Source: pkg/tenantNamespace of Liqo v1.0.1 (labels) */
async function namespacesOf({ api, namespace }: Side, other: string): Promise<LiqoObject[]> {
  const all = await api.list<KubernetesObject>('/api/v1/namespaces')
  return all
    .filter(({ metadata }) => metadata.name !== namespace)
    .filter(({ metadata: { name, labels = {} } }) => {
      return name === `liqo-tenant-${other}` || labels[remoteClusterLabel] === other
    })
    .map((object) => ({
      resource: 'namespaces',
      path: `/api/v1/namespaces/${object.metadata.name}`,
      object: { apiVersion: 'v1', kind: 'Namespace', ...object },
    }))
}

async function nodesOf({ api }: Side, other: string): Promise<LiqoObject[]> {
  const nodes = await api.list<Node>('/api/v1/nodes', { labelSelector: `${remoteClusterLabel}=${other}` })
  return nodes.filter(isVirtual).map((object) => ({
    resource: 'nodes',
    path: `/api/v1/nodes/${object.metadata.name}`,
    object: { apiVersion: 'v1', kind: 'Node', ...object },
  }))
}
