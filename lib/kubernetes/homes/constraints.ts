import {
  type Node,
  type NodeSelectorTerm,
  type Pod,
  type PodAffinityTerm,
  type Requirement,
  selects,
  type Taint,
  type Toleration,
  type TopologySpreadConstraint,
} from '../kinds.ts'

/** Pods with the node that each is on, as far as the cluster will look after the drain. */
export interface Neighbourhood {
  readonly nodes: ReadonlyMap<string, Node>
  readonly pods: readonly Pod[]
  readonly namespaceLabels: ReadonlyMap<string, Record<string, string>>
}

/** The taint that keeps a pod off the node, as `key=value:effect`; null if it tolerates all of them. */
export function untolerated(node: Node, pod: Pod, ignored: readonly string[] = []): string | null {
  const keeping = (node.spec.taints ?? []).filter(
    ({ key, effect }) => (effect === 'NoSchedule' || effect === 'NoExecute') && !ignored.includes(key),
  )
  const taint = keeping.find((each) => !(pod.spec.tolerations ?? []).some((toleration) => tolerates(toleration, each)))
  return taint ? `${taint.key}${taint.value ? `=${taint.value}` : ''}:${taint.effect}` : null
}

function tolerates({ key, operator = 'Equal', value = '', effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false
  if (!key) return operator === 'Exists'
  return key === taint.key && (operator === 'Exists' || value === (taint.value ?? ''))
}

/** Whether the node is one that the pod's nodeSelector and required node affinity allow. */
export function isWanted(node: Node, pod: Pod): boolean {
  const labels = node.metadata.labels ?? {}
  const bySelector = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  return bySelector && (terms === undefined || matchesAny(node, terms))
}

/** Whether one of the terms matches the node. An empty term matches none. */
export function matchesAny(node: Node, terms: readonly NodeSelectorTerm[]): boolean {
  return terms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false
    return (
      matchExpressions.every((requirement) => meets(requirement, node.metadata.labels?.[requirement.key])) &&
      matchFields.every((requirement) => meets(requirement, node.metadata.name))
    )
  })
}

// Gt and Lt are of node affinity alone; the rest is as in any selector.
function meets(requirement: Requirement, value: string | undefined): boolean {
  const { key, operator, values = [] } = requirement
  if (operator === 'Gt') return value !== undefined && Number(value) > Number(values[0])
  if (operator === 'Lt') return value !== undefined && Number(value) < Number(values[0])
  return selects({ matchExpressions: [requirement] }, value === undefined ? {} : { [key]: value })
}

/** The pod that the new one would not stand in the node's domain, or that would not stand it; null if there is none. */
export function repelledBy(node: Node, pod: Pod, around: Neighbourhood): Pod | null {
  const near = (other: Pod, { topologyKey }: PodAffinityTerm) =>
    sameDomain(around.nodes.get(other.spec.nodeName ?? ''), node, topologyKey)
  const repels = (holder: Pod, other: Pod, place: Pod) =>
    antiAffinityOf(holder).some((term) => near(place, term) && covers(term, holder, other, around))
  return around.pods.find((other) => repels(pod, other, other) || repels(other, pod, other)) ?? null
}

/** Whether the pods that the new one has to be with are in the node's domain. The first of a group may be anywhere. */
export function hasCompany(node: Node, pod: Pod, around: Neighbourhood): boolean {
  const terms = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  return terms.every((term) => {
    const wanted = around.pods.filter((other) => covers(term, pod, other, around))
    if (wanted.length === 0) return covers(term, pod, pod, around)
    return wanted.some((other) => sameDomain(around.nodes.get(other.spec.nodeName ?? ''), node, term.topologyKey))
  })
}

/**
 * The spread that one more pod on the node would break, by its topology key; null if none. A cordoned node is a domain
 * of its own that stays empty, which is how a spread keeps everybody Pending during a drain.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
 */
export function brokenSpread(node: Node, pod: Pod, around: Neighbourhood): string | null {
  const strict = (pod.spec.topologySpreadConstraints ?? []).filter((each) => each.whenUnsatisfiable === 'DoNotSchedule')
  return strict.find((each) => skewOn(node, pod, each, around) > each.maxSkew)?.topologyKey ?? null
}

function skewOn(node: Node, pod: Pod, { topologyKey, labelSelector }: TopologySpreadConstraint, around: Neighbourhood) {
  const counts = new Map<string, number>()
  for (const each of around.nodes.values()) {
    const domain = each.metadata.labels?.[topologyKey]
    if (domain !== undefined && isWanted(each, pod)) counts.set(domain, 0)
  }
  for (const other of around.pods) {
    const domain = around.nodes.get(other.spec.nodeName ?? '')?.metadata.labels?.[topologyKey]
    const counted = domain === undefined ? undefined : counts.get(domain)
    const same = other.metadata.namespace === pod.metadata.namespace && selects(labelSelector, other.metadata.labels)
    if (domain !== undefined && counted !== undefined && same) counts.set(domain, counted + 1)
  }
  const here = counts.get(node.metadata.labels?.[topologyKey] ?? '')
  return here === undefined ? Infinity : here + 1 - Math.min(...counts.values())
}

function antiAffinityOf(pod: Pod): PodAffinityTerm[] {
  return pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
}

function covers(term: PodAffinityTerm, holder: Pod, other: Pod, { namespaceLabels }: Neighbourhood): boolean {
  const namespace = other.metadata.namespace ?? ''
  const named = term.namespaces?.includes(namespace) ?? false
  const selected = term.namespaceSelector && selects(term.namespaceSelector, namespaceLabels.get(namespace))
  const own = !term.namespaces?.length && !term.namespaceSelector && namespace === holder.metadata.namespace
  return (named || selected || own) && selects(term.labelSelector, other.metadata.labels)
}

function sameDomain(one: Node | undefined, other: Node, topologyKey: string): boolean {
  const domain = one?.metadata.labels?.[topologyKey]
  return domain !== undefined && domain === other.metadata.labels?.[topologyKey]
}
