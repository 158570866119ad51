import type { KubernetesApi } from '../kubernetes/api.ts'
import { readHolders } from './cluster-holders.ts'
import type { ClusterObject } from './holders.ts'

/** An object that Git holds, and what applies it from there. */
export interface FromGit extends ClusterObject {
  /** `Kustomization flux-system/mesh` */
  readonly holder: string
}

/** Those of the objects that Flux or Argo CD would make anew if they went; not those whose holder is suspended or syncs nothing by itself. */
export async function madeAnewFromGit(api: KubernetesApi, objects: readonly ClusterObject[]): Promise<FromGit[]> {
  const holders = await readHolders(api)
  return objects.flatMap((one) => {
    const held = holders.holderOf(one)
    return held?.by === 'git' && held.idle === undefined ? [{ ...one, holder: held.holder }] : []
  })
}
