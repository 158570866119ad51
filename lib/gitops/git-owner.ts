import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import { type ClusterObject, Holders } from './holders.ts'

/** An object that Git holds, and what applies it from there. */
export interface FromGit extends ClusterObject {
  /** `Kustomization flux-system/mesh` */
  readonly holder: string
}

const holding: readonly [string, readonly string[]][] = [
  ['kustomize.toolkit.fluxcd.io', ['kustomizations']],
  ['helm.toolkit.fluxcd.io', ['helmreleases']],
  ['argoproj.io', ['applications']],
]

/** Those of the objects that Flux or Argo CD would make anew if they went; not those whose holder is suspended or syncs nothing by itself. */
export async function madeAnewFromGit(api: KubernetesApi, objects: readonly ClusterObject[]): Promise<FromGit[]> {
  const holders = new Holders()
  for (const [group, resources] of holding) {
    for (const served of await servedResources(api, group, resources)) {
      const apiVersion = `${served.group}/${served.version}`
      for (const object of await api.list<KubernetesObject>(collectionPath(served))) {
        holders.note({ resource: `${served.resource}.${group}`, object: { apiVersion, kind: served.kind, ...object } })
      }
    }
  }
  return objects.flatMap((one) => {
    const held = holders.holderOf(one)
    return held?.by === 'git' && held.idle === undefined ? [{ ...one, holder: held.holder }] : []
  })
}
