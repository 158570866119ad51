import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import { Holders } from './holders.ts'

const engines: readonly [string, string][] = [
  ['kustomize.toolkit.fluxcd.io', 'kustomizations'],
  ['helm.toolkit.fluxcd.io', 'helmreleases'],
  ['argoproj.io', 'applications'],
]

/** Reads the Kustomizations, HelmReleases and Applications of a cluster: those who hold what comes from Git. */
export async function readHolders(api: KubernetesApi): Promise<Holders> {
  const holders = new Holders()
  for (const [group, resource] of engines) {
    for (const served of await servedResources(api, group, [resource])) {
      const apiVersion = `${served.group}/${served.version}`
      for (const object of await api.list(collectionPath(served))) {
        holders.note({ resource: `${resource}.${group}`, object: { apiVersion, kind: served.kind, ...object } })
      }
    }
  }
  return holders
}

/**
 * Tells of any object who would write it anew.
 * @returns of an object with kind and apiVersion: `Kustomization flux-system/mesh`, or its owner; undefined when the cluster alone holds it
 */
export async function holdersInCluster(api: KubernetesApi): Promise<(object: KubernetesObject) => string | undefined> {
  const holders = await readHolders(api)
  return (object) => {
    const [owner] = object.metadata.ownerReferences ?? []
    const resource = `${object.kind?.toLowerCase()}s`
    const held = holders.holderOf({ resource, object })?.holder
    return held ?? (owner && `${owner.kind} ${object.metadata.namespace}/${owner.name}`)
  }
}
