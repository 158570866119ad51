import pMap from 'p-map'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { type Blocker, predictBlockers } from './disruption.ts'
import { type Fate, fateOf } from './drain-filters.ts'
import { evictPod } from './eviction.ts'
import { fullName, type Node, type Pod, type PodDisruptionBudget, type Workload } from './kinds.ts'
import { listNodes, otherHomes } from './nodes.ts'
import { isFinished, listPods, ownerOf } from './pods.ts'
import { listScalable, type ScalableWorkload, type StatefulWorkload } from './workloads.ts'

/** What a drain of one node will meet, seen before anything is changed. */
export interface DrainOutlook {
  readonly node: string
  readonly onlyHome: boolean
  readonly evicted: readonly { pod: Pod; note: string | undefined }[]
  readonly left: readonly { pod: Pod; note: string }[]
  readonly refused: readonly { pod: Pod; note: string }[]
  readonly blockers: readonly Blocker[]
  /** workloads whose budget can only be satisfied by having no pods: they are scaled down rather than waited for */
  readonly toScaleDown: readonly StatefulWorkload[]
  /** blockers whose pods belong to nothing that we could scale */
  readonly unresolved: readonly Blocker[]
}

const concurrency = 16

/** Reads what a drain would do, and what would block it. */
export async function lookAhead(
  api: KubernetesApi,
  node: string,
  options: { force: boolean; deleteEmptyDirData?: boolean; scaledDown?: readonly StatefulWorkload[] },
): Promise<DrainOutlook> {
  const [pods, nodes, daemonSets, budgets, replicaSets, workloads] = await Promise.all([
    listPods(api),
    listNodes(api),
    api.list('/apis/apps/v1/daemonsets'),
    api.list<PodDisruptionBudget>('/apis/policy/v1/poddisruptionbudgets'),
    api.list<Workload>('/apis/apps/v1/replicasets'),
    listScalable(api),
  ])
  const gone = new Set((options.scaledDown ?? []).map((workload) => workload.uid))
  const staying = pods.filter((pod) => !gone.has(ownerOf(pod, replicaSets)?.uid ?? ''))
  const filters = {
    force: options.force,
    deleteEmptyDirData: options.deleteEmptyDirData ?? true,
    daemonSets: new Set(daemonSets.map((each) => fullName(each))),
  }
  const here = staying.filter((pod) => pod.spec.nodeName === node).map((pod) => ({ pod, fate: fateOf(pod, filters) }))
  const evicted = here.filter(({ fate }) => fate.action === 'evict')
  const onlyHome = otherHomes(nodes as Node[], node).length === 0
  const blockers = predictBlockers(
    budgets,
    evicted.map(({ pod }) => pod),
    staying,
    { onlyHome },
  )
  return {
    node,
    onlyHome,
    evicted: evicted.map(({ pod, fate }) => ({ pod, note: fate.note })),
    left: here.flatMap(({ pod, fate }) => withNote(pod, fate, 'leave')),
    refused: here.flatMap(({ pod, fate }) => withNote(pod, fate, 'refuse')),
    blockers,
    ...resolve(blockers, workloads, replicaSets),
  }
}

/** @throws OperatorError naming every pod that may not be evicted without being told so */
export function refuseUnmanaged(outlook: DrainOutlook): void {
  if (outlook.refused.length === 0) return
  const lines = outlook.refused.map(({ pod, note }) => `  ${fullName(pod)}: ${note}`)
  throw new OperatorError(
    `${outlook.refused.length} pods on ${outlook.node} would not come back:\n${lines.join('\n')}`,
    {
      means: 'Nothing was changed. Evicting them deletes them for good.',
      next: 'Delete them, give them a controller, or accept it: task migrate:drain -- --force',
    },
  )
}

/**
 * Evicts what is to be evicted and waits until it is gone. A budget's refusal is asked again every second until
 * DRAIN_TIMEOUT; who is still there, and why, is shown all the while.
 */
export async function drain(
  migration: Migration,
  api: KubernetesApi,
  outlook: DrainOutlook,
): Promise<{ evicted: number }> {
  const refusals = new Map<string, string>()
  const attempt = async (pod: Pod) => {
    const answer = await evictPod(api, pod)
    if (answer.going) refusals.delete(uidOf(pod))
    else refusals.set(uidOf(pod), answer.why)
  }
  const pods = outlook.evicted.map(({ pod }) => pod)
  await pMap(pods, (pod) => migration.change(`Evict Pod ${fullName(pod)}`, { apply: () => attempt(pod) }), {
    concurrency,
  })
  if (migration.dryRun) return { evicted: pods.length }
  const wanted = new Set(pods.map(uidOf))
  await migration.wait({
    name: `Node ${outlook.node} is drained`,
    timeoutSeconds: migration.settings.drainTimeout,
    everyMs: 1000,
    hint: 'Scale down what a budget protects, or end what holds the pod (a finalizer, a volume); then run this again. It goes on where it was.',
    probe: async () => {
      const left = (await listPods(api, { node: outlook.node })).filter((pod) => wanted.has(uidOf(pod)))
      // The change of each of these is journaled above: this only asks again.
      await pMap(
        left.filter((pod) => refusals.has(uidOf(pod))),
        attempt,
        { concurrency },
      )
      if (left.length === 0) return { met: true, value: undefined }
      const saw = left
        .slice(0, 4)
        .map((pod) => `${fullName(pod)} (${whyStillThere(pod, refusals, migration.clock.now())})`)
      return { met: false, saw: `${left.length} of ${pods.length} still there: ${saw.join(', ')}` }
    },
  })
  return { evicted: pods.length }
}

/** Shows what blocks and what comes of it, in a table. */
export function showOutlook(migration: Migration, outlook: DrainOutlook): void {
  const { console } = migration
  console.info(
    `${outlook.evicted.length} pods are evicted from ${outlook.node}, ${outlook.left.length} stay (DaemonSets and static pods).` +
      (outlook.onlyHome ? ' No other node can take them: they wait as Pending until resume.' : ''),
  )
  const rows = outlook.blockers.map((blocker) => [
    blocker.budget,
    blocker.pods.map((pod) => fullName(pod)).join(', '),
    blocker.reason,
    outlook.unresolved.includes(blocker) ? 'asked again until DRAIN_TIMEOUT' : 'its workload is scaled down first',
  ])
  if (rows.length > 0) console.table('Budgets that block', ['PodDisruptionBudget', 'pods', 'why', 'what is done'], rows)
}

function resolve(
  blockers: readonly Blocker[],
  workloads: readonly ScalableWorkload[],
  replicaSets: readonly Workload[],
): Pick<DrainOutlook, 'toScaleDown' | 'unresolved'> {
  const byUid = new Map(workloads.map((workload) => [workload.uid, workload]))
  const scalableOf = (pod: Pod) => byUid.get(ownerOf(pod, replicaSets)?.uid ?? '')
  // With another home, replacements become ready there and the budget lets the next one go: that is what budgets are
  // for.
  const found = blockers
    .filter((blocker) => blocker.hopeless)
    .map((blocker) => ({ blocker, owners: blocker.pods.map(scalableOf) }))
  const solvable = found.filter(({ owners }) => owners.every((owner) => owner !== undefined))
  const toScaleDown = new Map<string, StatefulWorkload>()
  for (const { blocker, owners } of solvable) {
    for (const owner of owners) if (owner) toScaleDown.set(owner.uid, { ...owner, reason: `budget ${blocker.budget}` })
  }
  const solved = new Set(solvable.map(({ blocker }) => blocker))
  return { toScaleDown: [...toScaleDown.values()], unresolved: blockers.filter((blocker) => !solved.has(blocker)) }
}

function withNote(pod: Pod, fate: Fate, action: Fate['action']): { pod: Pod; note: string }[] {
  return fate.action === action ? [{ pod, note: fate.note ?? '' }] : []
}

function whyStillThere(pod: Pod, refusals: ReadonlyMap<string, string>, now: Date): string {
  const refusal = refusals.get(uidOf(pod))
  if (refusal !== undefined) return refusal
  const finalizers = pod.metadata.finalizers ?? []
  if (finalizers.length > 0) return `held by finalizer ${finalizers.join(', ')}`
  if (!pod.metadata.deletionTimestamp) return isFinished(pod) ? 'finished, not deleted yet' : 'not asked to end yet'
  const overdue = Math.round((now.getTime() - Date.parse(pod.metadata.deletionTimestamp)) / 1000)
  return overdue > 0 ? `should have ended ${overdue}s ago` : `ending, ${-overdue}s of grace left`
}

function uidOf(pod: Pod): string {
  return pod.metadata.uid ?? fullName(pod)
}
