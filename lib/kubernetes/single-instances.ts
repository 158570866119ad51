import type { KubernetesApi } from './api.ts'
import type { Workload } from './kinds.ts'
import { controllersOf, isFinished, listPods, ownerOf } from './pods.ts'
import { listScalable } from './workloads.ts'

/** The workloads whose only replica runs on this node, as `Kind namespace/name`: they are away while the node is. */
export async function singleInstancesOn(api: KubernetesApi, node: string): Promise<string[]> {
  const [workloads, pods, replicaSets] = await Promise.all([
    listScalable(api),
    listPods(api, { node }),
    api.list<Workload>('/apis/apps/v1/replicasets'),
  ])
  const controllers = controllersOf(replicaSets)
  const here = new Set(pods.filter((pod) => !isFinished(pod)).map((pod) => ownerOf(pod, controllers)?.uid))
  return workloads
    .filter(({ uid, replicas }) => replicas === 1 && here.has(uid))
    .map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`)
}
