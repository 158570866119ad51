import type { Container, Node, Pod, PodSpec } from '../kinds.ts'

/** What a pod asks of a node, or what a node has left, by resource: cpu in cores, memory in bytes, pods by count. */
export type Amounts = ReadonlyMap<string, number>

/**
 * What the scheduler sets aside for a pod: its containers together, or its largest init container if that is more, and
 * its runtime's overhead. Sidecars (init containers that go on) count with the containers.
 * Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
 */
export function requestsOf(spec: PodSpec): Map<string, number> {
  const inits = spec.initContainers ?? []
  const sidecars = inits.filter((container) => container.restartPolicy === 'Always')
  const total = sumOf([...(spec.containers ?? []), ...sidecars])
  for (const init of inits) {
    for (const [resource, amount] of amountsOf(init.resources?.requests)) {
      total.set(resource, Math.max(total.get(resource) ?? 0, amount))
    }
  }
  for (const [resource, amount] of amountsOf(spec.overhead)) total.set(resource, (total.get(resource) ?? 0) + amount)
  total.set('pods', 1)
  return total
}

/** What a node has left beside the pods that are on it. */
export function roomOn(node: Node, pods: readonly Pod[]): Map<string, number> {
  const room = new Map(amountsOf(node.status?.allocatable))
  for (const pod of pods) takeFrom(room, requestsOf(pod.spec))
  return room
}

/** Takes a pod's requests out of a node's room. */
export function takeFrom(room: Map<string, number>, requests: Amounts): void {
  for (const [resource, amount] of requests) room.set(resource, (room.get(resource) ?? 0) - amount)
}

/** The first resource that there is too little of, as `cpu: 2 asked, 0.5 left`; null if the pod fits. */
export function tooLittle(room: Amounts, requests: Amounts): string | null {
  for (const [resource, asked] of requests) {
    const left = Math.max(0, room.get(resource) ?? 0)
    if (asked > left) return `${resource}: ${shown(resource, asked)} asked, ${shown(resource, left)} left`
  }
  return null
}

/**
 * The number that a quantity means: `500m` is 0.5, `2Ki` is 2048, `1e3` is 1000; 0 if it is none.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function quantity(text: string): number {
  const parts = /^([+-]?\d+(?:\.\d*)?)(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/.exec(text)
  if (!parts) return 0
  const [, number = '', exponent = '', suffix = ''] = parts
  return Number(number + exponent) * (factors.get(suffix) ?? 1)
}

const factors: ReadonlyMap<string, number> = new Map([
  ...['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'].map((unit, at) => [unit, 1000 ** (at - 3)] as const),
  ...['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((unit, at) => [unit, 1024 ** (at + 1)] as const),
])

function sumOf(containers: readonly Container[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const container of containers) {
    for (const [resource, amount] of amountsOf(container.resources?.requests)) {
      sum.set(resource, (sum.get(resource) ?? 0) + amount)
    }
  }
  return sum
}

function amountsOf(quantities: Record<string, string> = {}): [string, number][] {
  return Object.entries(quantities).map(([resource, text]) => [resource, quantity(text)])
}

function shown(resource: string, amount: number): string {
  const inBytes = resource === 'memory' || resource === 'ephemeral-storage'
  return inBytes ? `${(amount / 1024 ** 3).toFixed(1)}Gi` : String(Math.round(amount * 1000) / 1000)
}
