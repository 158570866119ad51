import type { KubernetesApi } from '../../kubernetes/api.ts'
import { installLiqo, type LiqoCluster } from './install.ts'
import { type Play, playLiqo } from './play.ts'

export type { Play } from './play.ts'

/** One side of a practised peering. */
export interface PeerSide {
  readonly api: KubernetesApi
  /** what Liqo is to call the cluster */
  readonly id: string
  /** default: liqo */
  readonly namespace?: string
}

/**
 * Installs Liqo, as far as liqoctl and the API show it, in two clusters and plays its controllers in both until it is stopped. Nothing is peered yet:
 * call liqoctl.
 */
export async function startLiqoPeer(home: PeerSide, peer: PeerSide): Promise<Play> {
  const clusters = [home, peer].map(({ api, id, namespace = 'liqo' }): LiqoCluster => ({ api, id, namespace }))
  const [one, two] = clusters as [LiqoCluster, LiqoCluster]
  await installLiqo(one, '10.244.0.0/16', '10.70.0.0/16')
  await installLiqo(two, '10.245.0.0/16', '10.71.0.0/16')
  return playLiqo(one, two)
}
