import { fullName, type Pod, type PodDisruptionBudget, selects } from './kinds.ts'
import { isFinished, isReady } from './pods.ts'

/** A PodDisruptionBudget that will not let pods of a node go, and why. */
export interface Blocker {
  readonly budget: string
  readonly pods: readonly Pod[]
  readonly reason: string
  /** waiting does not help: nothing that the drain itself does makes room */
  readonly hopeless: boolean
}

/**
 * Which budgets will refuse evictions from a node, told before the first one. Where an evicted pod finds another home,
 * a budget blocks only while it allows no disruption now. Where this node is the only home, replacements stay Pending,
 * so a budget blocks as soon as fewer healthy pods than it demands are elsewhere: `kubectl drain` then waits for ever.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 * @param leaving the pods of the node that are to be evicted
 * @param all every pod of the cluster
 */
export function predictBlockers(
  budgets: readonly PodDisruptionBudget[],
  leaving: readonly Pod[],
  all: readonly Pod[],
  options: { onlyHome: boolean },
): Blocker[] {
  const running = leaving.filter((pod) => !isFinished(pod) && pod.status.phase !== 'Pending')
  const single = budgets.flatMap((budget) => blockerOf(budget, running, all, options.onlyHome) ?? [])
  return [...single, ...guardedTwice(budgets, running)]
}

function blockerOf(
  budget: PodDisruptionBudget,
  running: readonly Pod[],
  all: readonly Pod[],
  onlyHome: boolean,
): Blocker | null {
  const guarded = running.filter((pod) => guards(budget, pod) && !isEvictableUnready(budget, pod))
  if (guarded.length === 0) return null
  const desired = budget.status?.desiredHealthy ?? 0
  const leavingUids = new Set(guarded.map((pod) => pod.metadata.uid))
  const elsewhere = all.filter((pod) => guards(budget, pod) && isReady(pod) && !leavingUids.has(pod.metadata.uid))
  const name = fullName(budget)
  if (onlyHome && elsewhere.length < desired) {
    return {
      budget: name,
      pods: guarded,
      reason: `it demands ${desired} healthy, ${elsewhere.length} would be left, and no other node can take replacements`,
      hopeless: true,
    }
  }
  if (!onlyHome && (budget.status?.disruptionsAllowed ?? 0) === 0) {
    const { currentHealthy = 0, expectedPods = 0 } = budget.status ?? {}
    return {
      budget: name,
      pods: guarded,
      reason: `it allows no disruption: ${currentHealthy} of ${expectedPods} healthy, demands ${desired}`,
      hopeless: false,
    }
  }
  return null
}

/** The Eviction API answers 500 for a pod with two budgets, and goes on doing so. */
function guardedTwice(budgets: readonly PodDisruptionBudget[], running: readonly Pod[]): Blocker[] {
  return running.flatMap((pod) => {
    const names = budgets.filter((budget) => guards(budget, pod)).map((budget) => fullName(budget))
    if (names.length < 2) return []
    const reason = 'a pod with more than one budget cannot be evicted at all'
    return [{ budget: names.join(' and '), pods: [pod], reason, hopeless: true }]
  })
}

function guards(budget: PodDisruptionBudget, pod: Pod): boolean {
  return (
    budget.metadata.namespace === pod.metadata.namespace &&
    selects(budget.spec.selector, pod.metadata.labels) &&
    !isFinished(pod)
  )
}

function isEvictableUnready(budget: PodDisruptionBudget, pod: Pod): boolean {
  if (isReady(pod)) return false
  if (budget.spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {}
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy
}
