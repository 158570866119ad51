import { type Address, parseAddress } from '../network/addresses.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'

/** A Talos machine that is a Node of the cluster. */
export interface NodeMachine {
  readonly node: string
  readonly address: Address
}

interface NodeStatus {
  addresses?: { type: string; address: string }[]
  nodeInfo?: { osImage?: string }
}

/**
 * The Talos machines of a cluster other than the one that is replaced. Liqo's virtual nodes and the like are none: a Talos machine's OS
 * image begins with the name.
 * @param nodeName the Node that is left out
 */
export async function otherMachines(api: KubernetesApi, nodeName: string): Promise<NodeMachine[]> {
  const nodes = await api.list<KubernetesObject>('/api/v1/nodes')
  return nodes.flatMap(({ metadata, status }) => {
    const { addresses = [], nodeInfo } = (status ?? {}) as NodeStatus
    const address = addresses.find(({ type }) => type === 'InternalIP')?.address
    if (metadata.name === nodeName || address === undefined || !nodeInfo?.osImage?.startsWith('Talos')) return []
    return [{ node: metadata.name, address: parseAddress(address, `the address of Node ${metadata.name}`) }]
  })
}
