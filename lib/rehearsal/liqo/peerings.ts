import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, type KubernetesObject } from '../../kubernetes/api.ts'
import type { StandInOptions } from './flags.ts'
import type { LiqoCluster } from './install.ts'
import { remoteLabel } from './play.ts'

/** One call of liqoctl. */
export interface Call {
  readonly consumer: LiqoCluster
  readonly provider: LiqoCluster
  readonly options: StandInOptions
  /** milliseconds since 1970 */
  readonly deadline: number
}

interface Endpoint {
  addresses: string[]
  port: number
  protocol: string
}

const networking = 'networking.liqo.io'
const authentication = 'authentication.liqo.io'

/** What `liqoctl peer` does: network, authentication, resource slice. What is there already is brought to what was asked for. */
export async function peer(call: Call): Promise<void> {
  const { consumer, provider, options } = call
  await ensureTenantNamespaces(call)
  if (options['networking-disabled'] !== true) await connect(call)
  await authenticate(call)
  if (options['create-resource-slice'] === 'false') return
  const namespace = tenantOf(provider)
  const labels = { 'liqo.io/replication': 'true', 'liqo.io/remoteID': provider.id, [remoteLabel]: provider.id }
  const annotations = options['create-virtual-node'] === 'false' ? {} : { 'liqo.io/create-virtual-node': 'true' }
  const { cpu, memory, pods } = options
  await put(
    consumer,
    authentication,
    'resourceslices',
    'ResourceSlice',
    { name: provider.id, namespace, labels, annotations },
    {
      class: options['resource-slice-class'] ?? 'default',
      providerClusterID: provider.id,
      resources: JSON.parse(JSON.stringify({ cpu, memory, pods })),
    },
  )
  await becomes(call, 'ResourceSlice authentication to be accepted', async () => {
    const slice = await consumer.api.get(path(authentication, 'resourceslices', namespace, provider.id))
    const { conditions = [] } = (slice.status ?? {}) as { conditions?: { type: string; status: string }[] }
    return conditions.some(({ type, status }) => type === 'Authentication' && status === 'Accepted')
  })
}

/** What `liqoctl unpeer` does: slices and virtual nodes, authentication, network, and if asked to the namespaces of the peering. */
export async function unpeer(call: Call): Promise<void> {
  const { consumer, provider, options } = call
  const cluster = await consumer.api.getOrNull(`/apis/core.liqo.io/v1beta1/foreignclusters/${provider.id}`)
  if (cluster === null) throw new Error(`foreign cluster with ID ${provider.id} not found`)
  const isBidirectional = (cluster.status as { role?: string } | undefined)?.role === 'ConsumerAndProvider'
  if (isBidirectional && options['delete-namespaces']) {
    throw new Error(
      'cannot delete the tenant namespace when a bidirectional is enabled, please remove the --delete-namespaces flag',
    )
  }
  await removeAll(call, consumer, authentication, 'resourceslices', `liqo.io/remoteID=${provider.id}`)
  await removeAll(call, consumer, 'offloading.liqo.io', 'virtualnodes', `${remoteLabel}=${provider.id}`)
  await removeAll(null, consumer, authentication, 'identities', `${remoteLabel}=${provider.id}`)
  await removeAll(null, provider, authentication, 'tenants', `${remoteLabel}=${consumer.id}`)
  if (!isBidirectional) {
    for (const resource of ['gatewayclients', 'gatewayservers', 'configurations']) {
      await removeAll(null, consumer, networking, resource, `${remoteLabel}=${provider.id}`)
      await removeAll(null, provider, networking, resource, `${remoteLabel}=${consumer.id}`)
    }
  }
  if (options['delete-namespaces'] !== true) return
  const namespaces = [
    [consumer, `/api/v1/namespaces/${tenantOf(provider)}`],
    [provider, `/api/v1/namespaces/${tenantOf(consumer)}`],
  ] as const
  for (const [own, namespace] of namespaces) await remove(own, namespace)
  for (const [{ api }, namespace] of namespaces) {
    await becomes(call, 'tenant namespace to be deleted', async () => (await api.getOrNull(namespace)) === null)
  }
}

async function ensureTenantNamespaces({ consumer, provider }: Call): Promise<void> {
  for (const [own, other] of [
    [consumer, provider],
    [provider, consumer],
  ] as const) {
    const name = tenantOf(other)
    const labels = { 'liqo.io/tenant-namespace': 'true', [remoteLabel]: other.id }
    await own.api.apply(
      `/api/v1/namespaces/${name}`,
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
      'liqoctl',
    )
  }
}

async function connect(call: Call): Promise<void> {
  const { options } = call
  const ends = [call.consumer, call.provider] as const
  const [server, client] = options['gw-server-service-location'] === 'Consumer' ? ends : ([ends[1], ends[0]] as const)
  for (const [own, other] of [
    [server, client],
    [client, server],
  ] as const) {
    await put(own, networking, 'configurations', 'Configuration', about(other), {
      remote: { cidr: { pod: ['10.80.0.0/16'] } },
    })
    await becomes(call, 'configuration to be applied', async () => {
      const { status } = await own.api.get(path(networking, 'configurations', tenantOf(other), other.id))
      return (status as { remote?: object } | undefined)?.remote !== undefined
    })
  }
  const mtu = Number(options.mtu ?? 1340)
  const template = { kind: 'WgGatewayServerTemplate', name: 'wireguard-server', namespace: server.namespace }
  const nodePort = options['gw-server-service-nodeport']
  const loadBalancerIP = options['gw-server-service-loadbalancerip']
  await put(server, networking, 'gatewayservers', 'GatewayServer', about(client), {
    ...{ mtu, serverTemplateRef: template },
    endpoint: {
      port: Number(options['gw-server-service-port'] ?? 51840),
      serviceType: options['gw-server-service-type'] ?? 'LoadBalancer',
      ...(nodePort === undefined ? {} : { nodePort: Number(nodePort) }),
      ...(loadBalancerIP === undefined ? {} : { loadBalancerIP }),
    },
  })
  const told = await endpointOf(call, server, client)
  const address = options['gw-client-address']
  const port = options['gw-client-port']
  const endpoint = {
    ...told,
    ...(address === undefined ? {} : { addresses: [address] }),
    ...(port === undefined ? {} : { port: Number(port) }),
  }
  await put(client, networking, 'gatewayclients', 'GatewayClient', about(server), { mtu, endpoint })
  for (const [own, other] of [
    [server, client],
    [client, server],
  ] as const) {
    await becomes(call, 'Connection status to be established', async () => {
      const all = await own.api.list(`/apis/${networking}/v1beta1/connections`, {
        labelSelector: `${remoteLabel}=${other.id}`,
      })
      return all.some(({ status }) => (status as { value?: string } | undefined)?.value === 'Connected')
    })
  }
}

async function endpointOf(call: Call, server: LiqoCluster, client: LiqoCluster): Promise<Endpoint> {
  let endpoint: Endpoint | undefined
  await becomes(call, 'gateway server Service to be created', async () => {
    const { status } = await server.api.get(path(networking, 'gatewayservers', tenantOf(client), client.id))
    endpoint = (status as { endpoint?: Endpoint } | undefined)?.endpoint
    return endpoint !== undefined
  })
  if (endpoint === undefined) throw new Error('the gateway server has no endpoint')
  return endpoint
}

async function authenticate(call: Call): Promise<void> {
  const { consumer, provider, options } = call
  const proxyURL = options['in-band'] ? 'http://10.81.0.1:8118' : options['proxy-url']
  const tenant = { clusterID: consumer.id, ...(proxyURL === undefined ? {} : { proxyURL }) }
  await put(provider, authentication, 'tenants', 'Tenant', about(consumer), tenant)
  await becomes(call, 'tenant status to be filled', async () => {
    const { status } = await provider.api.get(path(authentication, 'tenants', tenantOf(consumer), consumer.id))
    return (status as { authParams?: object } | undefined)?.authParams !== undefined
  })
  const name = `controlplane-${provider.id}`
  const identity = { clusterID: provider.id, type: 'ControlPlane' }
  await put(consumer, authentication, 'identities', 'Identity', { ...about(provider), name }, identity)
  await becomes(call, 'identity status to be filled', async () => {
    const { status } = await consumer.api.get(path(authentication, 'identities', tenantOf(provider), name))
    return (status as { kubeconfigSecretRef?: object } | undefined)?.kubeconfigSecretRef !== undefined
  })
}

async function put(
  { api }: LiqoCluster,
  group: string,
  resource: string,
  kind: string,
  metadata: KubernetesObject['metadata'],
  spec: object,
): Promise<void> {
  const object = { apiVersion: `${group}/v1beta1`, kind, metadata, spec }
  await api.apply(path(group, resource, metadata.namespace ?? '', metadata.name), object, 'liqoctl')
}

/** @param call whose deadline is waited for until all are gone; null: not waited for */
async function removeAll(
  call: Call | null,
  cluster: LiqoCluster,
  group: string,
  resource: string,
  labelSelector: string,
) {
  const collection = `/apis/${group}/v1beta1/${resource}`
  for (const { metadata } of await cluster.api.list(collection, { labelSelector })) {
    await remove(cluster, path(group, resource, metadata.namespace ?? '', metadata.name))
  }
  if (call === null) return
  await becomes(call, `${resource} to be deleted`, async () => {
    return (await cluster.api.list(collection, { labelSelector })).length === 0
  })
}

async function remove({ api }: LiqoCluster, where: string): Promise<void> {
  await api.remove(where).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error
  })
}

/** The real one asks once a second as well, and knows no other end than its timeout. */
async function becomes({ deadline }: Call, what: string, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`Failed waiting for ${what}: timed out waiting for the condition`)
    await delay(200)
  }
}

function about(other: LiqoCluster): KubernetesObject['metadata'] {
  return { name: other.id, namespace: tenantOf(other), labels: { [remoteLabel]: other.id } }
}

function tenantOf({ id }: LiqoCluster): string {
  return `liqo-tenant-${id}`
}

function path(group: string, resource: string, namespace: string, name: string): string {
  return `/apis/${group}/v1beta1/namespaces/${namespace}/${resource}/${name}`
}
