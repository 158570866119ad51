import test from 'ava'
import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { readPeering } from '../../../lib/network/liqo/peering.ts'
import type { Side, SideName } from '../../../lib/network/liqo/side.ts'

type Objects = Record<string, Partial<KubernetesObject>[]>

/** A cluster that holds these objects, by resource, and nothing else. */
function side(name: SideName, clusterId: string, objects: Objects): Side {
  const api = { list: async (path: string) => objects[path.split('/').at(-1) ?? ''] ?? [] }
  const served = Object.keys(objects).map((resource) => {
    return [resource, { group: 'liqo.io', version: 'v1beta1', resource, kind: 'Kind', namespaced: true }] as const
  })
  return { name, clusterId, api: api as never, kubeconfig: '', namespace: 'liqo', served: new Map(served) }
}

const of = (other: string, spec: object, more: object = {}) => ({
  metadata: { name: other, namespace: `liqo-tenant-${other}`, labels: { 'liqo.io/remote-cluster-id': other } },
  spec,
  ...more,
})

test('a peering in both directions is read as two, each with its own slices', async (t) => {
  const replicated = {
    name: 'aws-gpu',
    labels: { 'liqo.io/remote-cluster-id': 'catalyst', 'liqo.io/replicated': 'true' },
  }
  const here = side('here', 'catalyst', {
    foreignclusters: [of('aws-gpu', { clusterID: 'aws-gpu' }, { status: { role: 'ConsumerAndProvider' } })],
    resourceslices: [
      of('aws-gpu', { class: 'gpu', providerClusterID: 'aws-gpu', resources: { cpu: 4, memory: '8Gi' } }),
    ],
    tenants: [of('aws-gpu', { clusterID: 'aws-gpu', proxyURL: 'http://10.71.0.4:8118' })],
  })
  const there = side('there', 'aws-gpu', {
    resourceslices: [{ metadata: replicated, spec: {} }, of('catalyst', { providerClusterID: 'catalyst' })],
    tenants: [of('catalyst', { clusterID: 'catalyst', proxyURL: 'http://proxy.example:3128' })],
    virtualnodes: [of('catalyst', { clusterID: 'catalyst', createNode: false })],
  })
  const { directions, networking } = await readPeering(here, 'aws-gpu', there)
  t.is(networking, null)
  t.deepEqual(directions, [
    {
      ...{ consumer: 'here', inBand: false, proxyUrl: 'http://proxy.example:3128', virtualNodes: [] },
      slices: [{ name: 'aws-gpu', class: 'gpu', resources: { cpu: '4', memory: '8Gi' }, makesNode: false }],
    },
    {
      ...{ consumer: 'there', inBand: true, virtualNodes: [{ name: 'catalyst', hasNode: false }] },
      slices: [{ name: 'catalyst', resources: {}, makesNode: false }],
    },
  ])
})

test('where the client goes is kept when it is not what the server says of itself', async (t) => {
  const endpoint = { serviceType: 'NodePort', port: 51840, nodePort: 30742 }
  const server = of(
    'aws-gpu',
    { mtu: 1300, endpoint },
    { status: { endpoint: { addresses: ['192.168.1.54'], port: 30742 } } },
  )
  const read = async (addresses: string[], port: number) => {
    const here = side('here', 'catalyst', { gatewayservers: [server] })
    const there = side('there', 'aws-gpu', { gatewayclients: [of('catalyst', { endpoint: { addresses, port } })] })
    return (await readPeering(here, 'aws-gpu', there)).networking
  }
  const known = { server: 'here', ...endpoint, mtu: 1300 } as const
  t.deepEqual(await read(['192.168.1.54'], 30742), known)
  t.deepEqual(await read(['10.42.1.1'], 443), { ...known, clientAddress: '10.42.1.1', clientPort: 443 })
})

test('of a peering whose role is not known yet, what there is of it tells who offloads to whom', async (t) => {
  const here = side('here', 'catalyst', { foreignclusters: [of('aws-gpu', { clusterID: 'aws-gpu' })] })
  const there = side('there', 'aws-gpu', { tenants: [of('catalyst', { clusterID: 'catalyst' })] })
  const { role, directions } = await readPeering(here, 'aws-gpu', there)
  t.is(role, 'Unknown')
  t.deepEqual(
    directions.map(({ consumer }) => consumer),
    ['here'],
  )
})

test('the objects of other peerings are not among it', async (t) => {
  const here = side('here', 'catalyst', {
    foreignclusters: [of('edge', { clusterID: 'edge' }, { status: { role: 'Provider' } })],
    resourceslices: [of('edge', {})],
    gatewayclients: [of('edge', { mtu: 1 })],
  })
  const { directions, networking } = await readPeering(here, 'aws-gpu', side('there', 'aws-gpu', {}))
  t.deepEqual([directions, networking], [[], null])
})
