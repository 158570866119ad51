import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import type { Baseline } from './baseline.ts'

interface PeerStatus {
  modules?: Record<string, { enabled?: boolean; conditions?: { type: string; status: string; message?: string }[] }>
}

/**
 * Liqo's peerings, as `liqoctl info` has them: by the conditions of the modules that are enabled; none if Liqo is not installed.
 * Source: https://docs.liqo.io/en/v1.0.1/usage/peer.html (ForeignCluster, status.modules)
 */
export async function readPeerings(api: KubernetesApi): Promise<Baseline['peerings']> {
  const peers = await foreignClusters(api)
  return peers.map((peer) => ({ key: `ForeignCluster ${peer.metadata.name}`, trouble: troubleOf(peer) }))
}

/** The clusters at the other end, as Liqo knows them. */
export async function foreignClusters(api: KubernetesApi): Promise<KubernetesObject[]> {
  const [kind] = await servedResources(api, 'core.liqo.io', ['foreignclusters'])
  return kind ? api.list(collectionPath(kind)) : []
}

function troubleOf(peer: KubernetesObject): string {
  const { modules = {} } = (peer.status ?? {}) as PeerStatus
  return Object.entries(modules)
    .flatMap(([module, { enabled, conditions = [] }]) =>
      conditions
        .filter(({ status }) => enabled === true && !['Established', 'Ready', 'True'].includes(status))
        .map(({ type, status, message }) => `${module}: ${type} is ${status}${message ? ` (${message})` : ''}`),
    )
    .join('; ')
}
