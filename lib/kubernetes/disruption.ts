import { fullName, type Pod, type PodDisruptionBudget, selects } from './kinds.ts'
import { isFinished, isReady } from './pods.ts'

/** PodDisruptionBudgets that will not let pods of a node go, and why. */
export interface Blocker {
  /** its name, or the names of all that guard the same pod */
  readonly budget: string
  readonly pods: readonly Pod[]
  /** the workloads that it guards, each with its replicas */
  readonly workloads: readonly string[]
  readonly reason: string
  /** what the operator can do about it */
  readonly wayOut: string
  /** waiting does not help: nothing that the drain itself does makes room */
  readonly hopeless: boolean
  /** it can only be satisfied by having no pods, and none of them would be left running elsewhere */
  readonly unlessScaledDown: boolean
}

/** What a prediction rests on besides the budgets themselves. */
export interface Outlook {
  /** the pods that are to be evicted */
  readonly leaving: readonly Pod[]
  /** every pod of the cluster */
  readonly all: readonly Pod[]
  /** those of them whose replacements find no other node */
  readonly stranded: ReadonlySet<Pod>
  /** the workload that a pod belongs to, with its replicas, as operators write it */
  readonly describeWorkload: (pod: Pod) => string
}

/**
 * Which budgets will refuse evictions from a node, told before the first one. Where an evicted pod finds another home,
 * a budget blocks only while it allows no disruption now, and for ever if it never allows any. Where it finds none,
 * replacements stay Pending, so a budget blocks as soon as fewer healthy pods than it demands are elsewhere:
 * `kubectl drain` then waits for ever.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 */
export function predictBlockers(budgets: readonly PodDisruptionBudget[], outlook: Outlook): Blocker[] {
  // The API deletes these whatever their budget says.
  const running = outlook.leaving.filter(
    (pod) => !isFinished(pod) && pod.status.phase !== 'Pending' && pod.metadata.deletionTimestamp === undefined,
  )
  const twice = running.filter((pod) => budgets.filter((budget) => guards(budget, pod)).length > 1)
  const once = running.filter((pod) => !twice.includes(pod))
  const single = budgets.flatMap((budget) => blockerOf(budget, once, outlook) ?? [])
  return [...single, ...guardedTwice(budgets, twice, outlook)]
}

function blockerOf(budget: PodDisruptionBudget, running: readonly Pod[], outlook: Outlook): Blocker | null {
  const guarded = running.filter((pod) => guards(budget, pod) && !isEvictableUnready(budget, pod))
  if (guarded.length === 0) return null
  const common = { budget: fullName(budget), pods: guarded, workloads: workloadsOf(guarded, outlook) }
  const stranded = whyStranded(budget, guarded, outlook)
  if (stranded !== null) return { ...common, ...stranded, hopeless: true }
  const refusal = whyNothingAllowed(budget, guarded, outlook)
  return refusal === null ? null : { ...common, ...refusal, unlessScaledDown: false }
}

/** Counted as if everything that finds another home were ready there. */
function whyStranded(
  budget: PodDisruptionBudget,
  guarded: readonly Pod[],
  { all, leaving, stranded }: Outlook,
): Pick<Blocker, 'reason' | 'wayOut' | 'unlessScaledDown'> | null {
  const desired = budget.status?.desiredHealthy ?? 0
  const elsewhere = all.filter((pod) => guards(budget, pod) && isReady(pod) && !leaving.includes(pod)).length
  const movable = guarded.filter((pod) => !stranded.has(pod)).length
  const healthy = elsewhere + movable
  if (movable === guarded.length || healthy >= desired) return null
  return {
    reason: `${demandOf(budget)} demands ${desired} healthy; ${healthy} would be, for no other node takes the rest`,
    wayOut: 'scale it to 0 for the evening, or --disable-eviction',
    unlessScaledDown: healthy === 0,
  }
}

/** Why the budget allows no disruption now, in the order in which the API server looks. */
function whyNothingAllowed(
  budget: PodDisruptionBudget,
  guarded: readonly Pod[],
  { all }: Outlook,
): Pick<Blocker, 'reason' | 'wayOut' | 'hopeless'> | null {
  const { metadata, status = {} } = budget
  const { disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0, expectedPods = 0 } = status
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    return {
      reason: `its status is of generation ${status.observedGeneration ?? 0}, the budget of ${metadata.generation}`,
      wayOut: 'wait; if it stays so, see that kube-controller-manager runs',
      hopeless: false,
    }
  }
  const failed = status.conditions?.find(({ type, reason }) => type === 'DisruptionAllowed' && reason === 'SyncFailed')
  if (failed) return { reason: `it cannot be computed: ${failed.message}`, wayOut: 'mend its selector', hopeless: true }
  if (disruptionsAllowed > 0) return null
  if (desiredHealthy >= expectedPods) {
    return {
      reason: `${demandOf(budget)} never lets one of ${expectedPods} go`,
      wayOut: `${budget.spec.maxUnavailable === undefined ? 'more replicas' : 'a larger maxUnavailable'}, or --disable-eviction`,
      hopeless: true,
    }
  }
  const unready = all.filter((pod) => guards(budget, pod) && !isReady(pod)).map((pod) => pod.metadata.name)
  return {
    reason: `${currentHealthy} of ${expectedPods} pods healthy, ${desiredHealthy} demanded; not ready: ${unready.join(', ') || 'none by now'}`,
    wayOut: guarded.some((pod) => !isReady(pod))
      ? 'mend what is not ready, or unhealthyPodEvictionPolicy: AlwaysAllow'
      : 'mend what is not ready',
    hopeless: false,
  }
}

/** The Eviction API answers 500 for a pod with two budgets, and goes on doing so. */
function guardedTwice(budgets: readonly PodDisruptionBudget[], pods: readonly Pod[], outlook: Outlook): Blocker[] {
  const groups = new Map<string, Pod[]>()
  for (const pod of pods) {
    const names = budgets.filter((budget) => guards(budget, pod)).map((budget) => fullName(budget))
    const group = names.join(' and ')
    groups.set(group, [...(groups.get(group) ?? []), pod])
  }
  return [...groups].map(([budget, guarded]) => {
    const workloads = workloadsOf(guarded, outlook)
    const staying = outlook.all.filter((pod) => !isFinished(pod) && !outlook.leaving.includes(pod))
    return {
      budget,
      pods: guarded,
      workloads,
      reason: 'a pod with more than one budget is never evicted',
      wayOut: 'delete all of them but one, or --disable-eviction',
      hopeless: true,
      unlessScaledDown: !staying.some((pod) => workloads.includes(outlook.describeWorkload(pod))),
    }
  })
}

function demandOf({ spec }: PodDisruptionBudget): string {
  return spec.maxUnavailable === undefined
    ? `minAvailable ${spec.minAvailable ?? 1}`
    : `maxUnavailable ${spec.maxUnavailable}`
}

function workloadsOf(pods: readonly Pod[], { describeWorkload }: Outlook): string[] {
  return [...new Set(pods.map(describeWorkload))]
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
