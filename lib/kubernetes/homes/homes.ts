import { fullName, type Node, type PersistentVolume, type PersistentVolumeClaim, type Pod } from '../kinds.ts'
import { isNodeReady, isVirtual, liqoTaint } from '../nodes.ts'
import { isFinished } from '../pods.ts'
import { claimsOfTemplate } from '../workloads.ts'
import {
  brokenSpread,
  hasCompany,
  isWanted,
  matchesAny,
  type Neighbourhood,
  repelledBy,
  untolerated,
} from './constraints.ts'
import { requestsOf, roomOn, takeFrom, tooLittle } from './requests.ts'

/** What a replacement's place depends on, as it is before the drain. */
export interface Surroundings {
  readonly nodes: readonly Node[]
  readonly pods: readonly Pod[]
  readonly claims: readonly PersistentVolumeClaim[]
  readonly volumes: readonly PersistentVolume[]
  readonly namespaces: readonly { metadata: { name: string; labels?: Record<string, string> } }[]
}

/** A pod whose replacement finds no other node, with what each of the others lacks. */
export interface Stranded {
  readonly pod: Pod
  readonly why: string
}

/**
 * Which pods' replacements will find no node but those that are emptied: the scheduler's filters, applied to what the
 * others have left. Each pod is given a place in turn, the largest first, so that what fits one by one and not together
 * is found too.
 * Source: https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
 * @param leaving the pods that go
 * @param emptied the nodes that they leave
 */
export function findStranded(leaving: readonly Pod[], emptied: ReadonlySet<string>, around: Surroundings): Stranded[] {
  const others = around.nodes.filter((node) => !emptied.has(node.metadata.name))
  if (others.length === 0) return leaving.map((pod) => ({ pod, why: 'there is no other node' }))
  const gone = new Set(leaving)
  const staying = around.pods.filter((pod) => !gone.has(pod) && !isFinished(pod))
  const places = new Places(around, staying, others)
  const bySize = [...leaving].sort((a, b) => cpuOf(b) - cpuOf(a))
  const stranded = bySize.flatMap((pod) => {
    const why = places.place(pod)
    return why === null ? [] : [{ pod, why }]
  })
  return leaving.flatMap((pod) => stranded.find((each) => each.pod === pod) ?? [])
}

class Places {
  readonly #others: readonly Node[]
  readonly #rooms: ReadonlyMap<string, Map<string, number>>
  readonly #pods: Pod[]
  readonly #around: Neighbourhood
  readonly #offloaded: ReadonlySet<string>
  readonly #volumeOf: (pod: Pod) => PersistentVolume[]

  constructor(around: Surroundings, staying: readonly Pod[], others: readonly Node[]) {
    this.#others = others
    this.#pods = [...staying]
    this.#rooms = new Map(
      others.map((node) => [
        node.metadata.name,
        roomOn(
          node,
          staying.filter((pod) => pod.spec.nodeName === node.metadata.name),
        ),
      ]),
    )
    this.#around = {
      nodes: new Map(around.nodes.map((node) => [node.metadata.name, node])),
      pods: this.#pods,
      namespaceLabels: new Map(around.namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
    }
    this.#offloaded = new Set(
      around.namespaces
        .filter(({ metadata }) => metadata.labels?.['liqo.io/scheduling-enabled'] === 'true')
        .map(({ metadata }) => metadata.name),
    )
    this.#volumeOf = volumesByPod(around)
  }

  /** Gives the pod a place and takes its room; null if it has one now, else what each node lacks. */
  place(pod: Pod): string | null {
    const requests = requestsOf(pod.spec)
    const reasons = new Map<string, string[]>()
    for (const node of this.#others) {
      const { name } = node.metadata
      const room = this.#rooms.get(name) ?? new Map<string, number>()
      const why = this.#whyNot(node, pod) ?? tooLittle(room, requests)
      if (why === null) {
        takeFrom(room, requests)
        this.#pods.push({ ...pod, spec: { ...pod.spec, nodeName: name } })
        return null
      }
      reasons.set(why, [...(reasons.get(why) ?? []), name])
    }
    return [...reasons].map(([why, names]) => `${shortList(names)}: ${why}`).join('; ')
  }

  #whyNot(node: Node, pod: Pod): string | null {
    const offloaded = this.#offloaded.has(pod.metadata.namespace ?? '')
    if (isVirtual(node) && !offloaded) return 'another cluster (Liqo), and the namespace is not offloaded'
    if (!isNodeReady(node)) return 'not ready'
    if (node.spec.unschedulable === true) return 'cordoned'
    // Liqo adds the toleration to pods of an offloaded namespace when they are made.
    const taint = untolerated(node, pod, offloaded ? [liqoTaint] : [])
    if (taint !== null) return `taint ${taint}`
    if (!isWanted(node, pod)) return 'not what its nodeSelector or node affinity asks for'
    const volume = this.#volumeOf(pod).find((each) => isElsewhere(each, node))
    if (volume) return `its volume ${volume.metadata.name} is not there`
    const repelling = repelledBy(node, pod, this.#around)
    if (repelling) return `anti-affinity to ${fullName(repelling)}`
    if (!hasCompany(node, pod, this.#around)) return 'the pods that its affinity asks for are not there'
    const spread = brokenSpread(node, pod, this.#around)
    return spread === null ? null : `topology spread over ${spread}`
  }
}

/** The bound volumes of a pod's claims. */
function volumesByPod({ claims, volumes }: Surroundings): (pod: Pod) => PersistentVolume[] {
  const byName = new Map(volumes.map((volume) => [volume.metadata.name, volume]))
  const byClaim = new Map(claims.map((claim) => [fullName(claim), byName.get(claim.spec.volumeName ?? '')]))
  return (pod) => claimsOfTemplate(pod.spec).flatMap((claim) => byClaim.get(`${pod.metadata.namespace}/${claim}`) ?? [])
}

function isElsewhere(volume: PersistentVolume, node: Node): boolean {
  const terms = volume.spec.nodeAffinity?.required?.nodeSelectorTerms
  return terms !== undefined && !matchesAny(node, terms)
}

function cpuOf(pod: Pod): number {
  return requestsOf(pod.spec).get('cpu') ?? 0
}

function shortList(names: readonly string[]): string {
  return names.length <= 2 ? names.join(', ') : `${names.slice(0, 2).join(', ')} and ${names.length - 2} more`
}
