import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import { readArgoCd, servedArgoKinds } from './argocd.ts'
import { readHolders } from './cluster-holders.ts'
import { readFlux, servedFluxKinds } from './flux.ts'
import type { Owned } from './ordering.ts'

const collections: Readonly<Record<string, string>> = {
  Deployment: 'deployments',
  StatefulSet: 'statefulsets',
  DaemonSet: 'daemonsets',
}

/**
 * Who of Flux and Argo CD cannot be ready before some workloads are: those that these come from, and whoever waits for those in turn. Each is named to the
 * operator.
 * @param workloads as `Deployment media/plex`
 * @returns their keys, as `Kustomization flux-system/media`
 */
export async function waitingFor(
  { console }: Pick<Migration, 'console'>,
  api: KubernetesApi,
  workloads: readonly string[],
): Promise<ReadonlySet<string>> {
  const waiting = new Set<string>()
  if (workloads.length === 0) return waiting
  const holders = await readHolders(api)
  for (const workload of workloads) {
    const object = await objectOf(api, workload)
    const held = object && holders.holderOf({ resource: collections[object.kind ?? ''] ?? '', object })
    if (held?.by === 'git') waiting.add(held.holder)
  }
  addParents(waiting, [
    ...(await readFlux(api, await servedFluxKinds(api))),
    ...(await readArgoCd(api, await servedArgoKinds(api))),
  ])
  if (waiting.size > 0) {
    console.info(`Nor is waited for what that comes from, and what waits for it: ${[...waiting].sort().join(', ')}`)
  }
  return waiting
}

/** A Kustomization with `wait: true` waits for what it has made, and so does a sync. */
function addParents(waiting: Set<string>, objects: readonly Owned[]): void {
  const parents = new Map(objects.map(({ key, parents }) => [key, parents]))
  // What is added on the way is gone through as well.
  for (const key of waiting) for (const parent of parents.get(key) ?? []) waiting.add(parent)
}

async function objectOf(api: KubernetesApi, workload: string): Promise<KubernetesObject | null> {
  const [kind = '', name = ''] = workload.split(' ')
  const [namespace = '', inner = ''] = name.split('/')
  const collection = collections[kind]
  if (collection === undefined) return null
  const object = await api.getOrNull(`/apis/apps/v1/namespaces/${namespace}/${collection}/${inner}`)
  return object && { ...object, apiVersion: 'apps/v1', kind }
}
