import { type Reader, specOf } from '../../kubernetes/reader.ts'

/** The clusters that this one is peered with. */
export type Liqo = {
  foreignClusters: { name: string; clusterId: string | null; role: string | null; apiServerUrl: string | null }[]
  virtualNodes: { name: string; clusterId: string | null }[]
  /** where the tunnels lead, as ADDRESS:PORT */
  gateways: { name: string; endpoints: string[] }[]
}

/** Source: https://docs.liqo.io/en/stable/ ; of each resource whatever version is served. */
export async function findLiqo(reader: Reader): Promise<Liqo> {
  const id = (value: unknown) => (typeof value === 'string' ? value : null)
  const foreignClusters = await reader.pick('core.liqo.io', 'foreignclusters', (cluster) => {
    const { role, apiServerUrl } = (cluster.status ?? {}) as { role?: string; apiServerUrl?: string }
    const { clusterID } = specOf(cluster)
    return [{ name: cluster.metadata.name, clusterId: id(clusterID), role: id(role), apiServerUrl: id(apiServerUrl) }]
  })
  const virtualNodes = await reader.pick('offloading.liqo.io', 'virtualnodes', (node) => [
    { name: `${node.metadata.namespace}/${node.metadata.name}`, clusterId: id(specOf(node).clusterID) },
  ])
  const gateways = await reader.pick('networking.liqo.io', 'gatewayclients', (gateway) => {
    const { endpoint = {} } = specOf(gateway) as { endpoint?: { addresses?: string[]; port?: number } }
    const endpoints = (endpoint.addresses ?? []).map((address) => `${address}:${endpoint.port ?? ''}`)
    return [{ name: `${gateway.metadata.namespace}/${gateway.metadata.name}`, endpoints }]
  })
  return { foreignClusters, virtualNodes, gateways }
}
