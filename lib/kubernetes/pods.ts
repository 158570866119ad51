import type { KubernetesApi, KubernetesObject } from './api.ts'
import { controllerOf, fullName, type Pod } from './kinds.ts'

/** Every pod of the cluster, or those of one node, or with labels as kubectl writes a selector. */
export async function listPods(
  api: KubernetesApi,
  options: { node?: string; labels?: string | undefined } = {},
): Promise<Pod[]> {
  const onNode = options.node === undefined ? {} : { fieldSelector: `spec.nodeName=${options.node}` }
  const labelled = options.labels === undefined ? {} : { labelSelector: options.labels }
  return api.list<Pod>('/api/v1/pods', { ...onNode, ...labelled })
}

/** Where the API serves the pod. */
export function podPath(pod: Pod): string {
  return `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`
}

/** Whether the pod's Ready condition is True: what a Service would send requests to. */
export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

/** Succeeded and Failed pods hold nothing any more: they run on no node. */
export function isFinished(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
}

/** A static pod's shadow in the API; only the kubelet can stop the pod itself. */
export function isMirrorPod(pod: Pod): boolean {
  return pod.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined
}

/** What keeps a pod from being ready, in the words of its first waiting container or of its conditions. */
export function whyNotReady(pod: Pod): string {
  for (const container of pod.status.containerStatuses ?? []) {
    const [state] = Object.entries(container.state ?? {})
    if (!container.ready && state?.[1].reason) return `${container.name}: ${state[1].reason}`
  }
  const failing = pod.status.conditions?.find(
    ({ status, reason, message }) => status === 'False' && (reason || message),
  )
  return failing?.message ?? failing?.reason ?? `phase ${pod.status.phase ?? 'unknown'}`
}

/** The workload that a pod belongs to, as `Kind namespace/name`; the pod itself if none controls it. */
export interface Owner {
  kind: string
  namespace: string
  name: string
  uid: string
}

/** ReplicaSets and Jobs, the only kinds that are themselves controlled by a built-in kind: what controls each, by its UID. */
export type Controllers = ReadonlyMap<string, ReturnType<typeof controllerOf>>

export function controllersOf(intermediates: readonly KubernetesObject[]): Controllers {
  return new Map(intermediates.map((each) => [each.metadata.uid ?? '', controllerOf(each)]))
}

/** Follows controllers upwards: Pod → ReplicaSet → Deployment, Pod → Job → CronJob. */
export function ownerOf(pod: Pod, controllers: Controllers): Owner | null {
  const namespace = pod.metadata.namespace ?? ''
  const direct = controllerOf(pod)
  if (!direct) return null
  const owner = controllers.get(direct.uid) ?? direct
  return { kind: owner.kind, namespace, name: owner.name, uid: owner.uid }
}

/** The owner as operators write it; the pod itself if it has none. */
export function describeOwner(owner: Owner | null, pod: Pod): string {
  return owner ? `${owner.kind} ${owner.namespace}/${owner.name}` : `Pod ${fullName(pod)}`
}
