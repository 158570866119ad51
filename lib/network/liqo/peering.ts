import * as z from 'zod'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { type LiqoObject, type LiqoResource, liqoObjects, remoteClusterLabel, type Side } from './side.ts'

const sideName = z.enum(['here', 'there'])

const networking = z.object({
  /** on which side the gateway waits for the other's */
  server: sideName,
  serviceType: z.string().exactOptional(),
  port: z.number().exactOptional(),
  nodePort: z.number().exactOptional(),
  loadBalancerIP: z.string().exactOptional(),
  mtu: z.number().exactOptional(),
  /** where the client goes to, when that is not what the server says of itself */
  clientAddress: z.string().exactOptional(),
  clientPort: z.number().exactOptional(),
})

const slice = z.object({
  name: z.string(),
  class: z.string().exactOptional(),
  resources: z.record(z.string(), z.string()),
  /** Liqo makes a virtual node of it by itself */
  makesNode: z.boolean(),
})

const direction = z.object({
  /** who offloads to the other */
  consumer: sideName,
  inBand: z.boolean(),
  proxyUrl: z.string().exactOptional(),
  slices: z.array(slice),
  virtualNodes: z.array(z.object({ name: z.string(), hasNode: z.boolean() })),
})

const offloading = z.object({ namespace: z.string(), name: z.string(), spec: z.record(z.string(), z.json()) })

export const peeringSchema = z.object({
  here: z.string(),
  there: z.string(),
  role: z.string(),
  /** null: without, as with `liqoctl peer --networking-disabled` */
  networking: networking.nullable(),
  directions: z.array(direction),
  /** of this cluster: they outlive an unpeering, unless somebody takes them away */
  offloadings: z.array(offloading),
})

/** A peering with one other cluster, and all that it takes to make it again. */
export type Peering = z.infer<typeof peeringSchema>
export type Direction = Peering['directions'][number]
export type Networking = NonNullable<Peering['networking']>
export type Slice = Direction['slices'][number]

interface Endpoint {
  addresses?: string[]
  port?: number
}
interface Fields {
  clusterID?: string
  providerClusterID?: string
  class?: string
  resources?: Record<string, unknown>
  createNode?: boolean
  proxyURL?: string
  mtu?: number
  endpoint?: Endpoint & { serviceType?: string; nodePort?: number; loadBalancerIP?: string }
}
interface Status {
  role?: string
  endpoint?: Endpoint
}

/** The ID of the clusters that this one is peered with. */
export async function peersOf(here: Side): Promise<string[]> {
  const clusters = await liqoObjects(here, 'foreignclusters')
  return clusters.map(({ object }) => specOf(object).clusterID ?? object.metadata.name).sort()
}

/**
 * Reads the peering with another cluster from both sides' objects.
 * Source: https://docs.liqo.io/en/v1.0.1/advanced/peering/ (which module is made of which objects)
 * @param there the other side; undefined when it cannot be asked: then what only it knows is not in the result
 */
export async function readPeering(here: Side, thereId: string, there?: Side): Promise<Peering> {
  const other = { here: thereId, there: here.clusterId }
  const read = (name: 'here' | 'there', resource: LiqoResource) => {
    const side = name === 'here' ? here : there
    return side === undefined ? Promise.resolve([]) : concerning(side, resource, other[name])
  }
  const [cluster] = await read('here', 'foreignclusters')
  const role = statusOf(cluster?.object).role ?? 'Unknown'
  const directions: Direction[] = []
  for (const consumer of ['here', 'there'] as const) {
    const provider = consumer === 'here' ? 'there' : 'here'
    const slices = (await read(consumer, 'resourceslices')).filter(({ object }) => isConsumers(object, other[consumer]))
    const virtualNodes = await read(consumer, 'virtualnodes')
    const tenants = await read(provider, 'tenants')
    const consumes = consumer === 'here' ? /Provider/ : /Consumer/
    // Where the role is not known yet, what there is of the peering tells it.
    const known =
      role === 'Unknown' ? slices.length + virtualNodes.length > 0 || tenants.length > 0 : consumes.test(role)
    if (!known) continue
    const proxyUrl = specOf(tenants[0]?.object).proxyURL || undefined
    const inBand = proxyUrl !== undefined && isApiServerProxy(proxyUrl)
    directions.push({
      consumer,
      inBand,
      ...(proxyUrl === undefined || inBand ? {} : { proxyUrl }),
      slices: slices.map(({ object }) => sliceOf(object)),
      virtualNodes: virtualNodes.map(({ object }) => ({
        name: object.metadata.name,
        hasNode: specOf(object).createNode !== false,
      })),
    })
  }
  const offloadings = (await liqoObjects(here, 'namespaceoffloadings')).map(({ object }) => ({
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name,
    spec: (object.spec ?? {}) as z.infer<typeof offloading>['spec'],
  }))
  return { here: here.clusterId, there: thereId, role, networking: await networkingOf(read), directions, offloadings }
}

async function networkingOf(
  read: (name: 'here' | 'there', resource: LiqoResource) => Promise<LiqoObject[]>,
): Promise<Networking | null> {
  for (const server of ['here', 'there'] as const) {
    const client = server === 'here' ? 'there' : 'here'
    const [atServer] = await read(server, 'gatewayservers')
    const [atClient] = await read(client, 'gatewayclients')
    if (atServer === undefined && atClient === undefined) continue
    const { endpoint = {}, mtu } = specOf(atServer?.object)
    const reached = specOf(atClient?.object).endpoint
    const told = statusOf(atServer?.object).endpoint
    const asked = specOf(atClient?.object).mtu
    const known = {
      serviceType: endpoint.serviceType,
      port: endpoint.port,
      nodePort: endpoint.nodePort || undefined,
      loadBalancerIP: endpoint.loadBalancerIP || undefined,
      mtu: mtu ?? asked,
    }
    const said = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
    return networking.parse({ server, ...said, ...(told === undefined ? {} : overridden(told, reached)) })
  }
  return null
}

/** What of the client's endpoint is not what the server says of itself was given by a person (it is behind a NAT, in a mesh …). */
function overridden(told: Endpoint, reached: Endpoint = {}): Pick<Networking, 'clientAddress' | 'clientPort'> {
  const [address] = reached.addresses ?? []
  return {
    ...(address === undefined || told.addresses?.includes(address) ? {} : { clientAddress: address }),
    ...(reached.port === undefined || reached.port === told.port ? {} : { clientPort: reached.port }),
  }
}

/** The objects of a side that belong to its peering with another cluster. */
export async function concerning(side: Side, resource: LiqoResource, other: string): Promise<LiqoObject[]> {
  return (await liqoObjects(side, resource)).filter(({ object }) => concerns(object, other))
}

/** Whether an object of Liqo's says, in one of the ways that there are, that it is about that other cluster. */
export function concerns({ metadata, spec }: KubernetesObject, other: string): boolean {
  const labels = metadata.labels ?? {}
  const named = [remoteClusterLabel, 'liqo.io/remoteID', 'liqo.io/originID', 'offloading.liqo.io/origin']
  if (named.some((label) => labels[label] === other)) return true
  return (spec as Fields | undefined)?.clusterID === other
}

/**
 * Whether an object, of whatever kind, is one that an unpeering from that cluster takes away and a peering makes anew: Liqo's about it,
 * and all that lies in the tenant namespace. Offloadings are not among it.
 * @param resource as kubectl writes it: `tenants.authentication.liqo.io`
 * Source: pkg/tenantNamespace of Liqo v1.0.1 (names and labels of the namespace)
 */
export function goesWithPeering(resource: string, object: KubernetesObject, other: string): boolean {
  const tenant = `liqo-tenant-${other}`
  const { name, namespace } = object.metadata
  if (resource === 'namespaces') return name === tenant || concerns(object, other)
  return namespace === tenant || (resource.endsWith('.liqo.io') && concerns(object, other))
}

/** A slice lies in both clusters; the consumer's is the one that is to be replicated. */
function isConsumers({ metadata, spec }: KubernetesObject, provider: string): boolean {
  if (metadata.labels?.['liqo.io/replicated'] === 'true') return false
  const { providerClusterID = provider } = (spec ?? {}) as Fields
  return providerClusterID === provider
}

function sliceOf(object: KubernetesObject): Slice {
  const { class: of, resources = {} } = specOf(object)
  return {
    name: object.metadata.name,
    ...(of === undefined ? {} : { class: of }),
    resources: Object.fromEntries(Object.entries(resources).map(([name, amount]) => [name, String(amount)])),
    makesNode: object.metadata.annotations?.['liqo.io/create-virtual-node'] === 'true',
  }
}

/** In-band authentication goes through Liqo's own proxy of the API server, which listens there and nowhere else. */
function isApiServerProxy(url: string): boolean {
  return URL.canParse(url) && new URL(url).protocol === 'http:' && new URL(url).port === '8118'
}

function specOf(object: KubernetesObject | undefined): Fields {
  return (object?.spec ?? {}) as Fields
}

function statusOf(object: KubernetesObject | undefined): Status {
  return (object?.status ?? {}) as Status
}
