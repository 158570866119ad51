import * as z from 'zod'
import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { fullName, type Workload } from './kinds.ts'
import { controllersOf, isFinished, isReady, listPods, ownerOf, whyNotReady } from './pods.ts'

const factName = 'unready-workloads'
const stagePatienceSeconds = 120
const kinds = { Deployment: 'deployments', StatefulSet: 'statefulsets', DaemonSet: 'daemonsets' }

/** How many of a workload's pods are wanted, and how many are ready. */
export interface Readiness {
  readonly key: string
  readonly uid: string
  readonly wanted: number
  readonly ready: number
  readonly observed: boolean
}

/** The readiness of every Deployment, StatefulSet and DaemonSet. */
export async function readReadiness(api: KubernetesApi): Promise<Readiness[]> {
  const lists = await Promise.all(
    Object.entries(kinds).map(async ([kind, collection]) =>
      (await api.list<Workload>(`/apis/apps/v1/${collection}`)).map((workload) => readinessOf(kind, workload)),
    ),
  )
  return lists.flat()
}

/**
 * What was not ready before we touched anything need not be waited for afterwards. Keeps the first answer of the run.
 */
export async function rememberUnready(migration: Migration, api: KubernetesApi): Promise<void> {
  if (migration.recall(factName, z.array(z.string())) !== undefined) return
  const unready = unreadyOf(await readReadiness(api))
  migration.remember(factName, unready)
  if (unready.length > 0) migration.console.warn(`Not ready already before the drain: ${unready.join(', ')}`)
}

/** As rememberUnready, from what a backup holds: the journal that knew it is lost. */
export async function rememberUnreadyIn(
  migration: Migration,
  inBackup: (group: string, resource: string) => Promise<KubernetesObject[]>,
): Promise<void> {
  if (migration.recall(factName, z.array(z.string())) !== undefined) return
  const lists = await Promise.all(
    Object.entries(kinds).map(async ([kind, collection]) =>
      ((await inBackup('apps', collection)) as Workload[]).map((workload) => readinessOf(kind, workload)),
    ),
  )
  migration.remember(factName, unreadyOf(lists.flat()))
}

function unreadyOf(all: readonly Readiness[]): string[] {
  return all.filter((each) => each.ready < each.wanted).map((each) => each.key)
}

/**
 * Waits until every workload has the pods that it wants, apart from those that were not ready before the drain.
 * @param later workloads that cannot be ready before a later phase, as `Deployment media/plex`
 * @throws OperatorError after CONVERGE_TIMEOUT, naming a workload that is not ready and what its pod says
 */
export async function workloadsAreReady(
  migration: Migration,
  api: KubernetesApi,
  later: readonly string[] = [],
): Promise<{ ready: number }> {
  const before = new Set([...(migration.recall(factName, z.array(z.string())) ?? []), ...later])
  const ready = await migration.wait({
    name: 'the workloads are ready',
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 1000,
    hint: 'What is ready goes on working. Look at the rest, then run this again: kubectl get pods -A; kubectl describe pod',
    probe: async () => {
      const all = (await readReadiness(api)).filter((each) => !before.has(each.key))
      const waiting = all.filter((each) => !each.observed || each.ready < each.wanted)
      if (waiting.length === 0) return { met: true, value: all.length }
      const reasons = await whyWaiting(api, waiting.slice(0, 3))
      return { met: false, saw: `${all.length - waiting.length} of ${all.length} ready; ${reasons.join('; ')}` }
    },
  })
  return { ready: ready ?? 0 }
}

/**
 * Waits until the workloads of a stage are ready, for two minutes at most: those who use a database may wait for it a
 * while, but not for one that was broken before.
 * @param paths of the workloads, as the journal has them
 */
export async function stageIsReady(migration: Migration, api: KubernetesApi, paths: readonly string[]): Promise<void> {
  const keys = new Set(paths.map(keyOfPath))
  const end = migration.clock.elapsed() + stagePatienceSeconds * 1000
  await migration.wait({
    name: 'what comes back first is ready',
    timeoutSeconds: stagePatienceSeconds * 2,
    everyMs: 1000,
    probe: async () => {
      const waiting = (await readReadiness(api)).filter(
        (each) => keys.has(each.key) && (!each.observed || each.ready < each.wanted),
      )
      const names = waiting.map((each) => each.key).join(', ')
      if (waiting.length === 0) return { met: true, value: undefined }
      if (migration.clock.elapsed() < end) return { met: false, saw: `not ready yet: ${names}` }
      migration.console.warn(`Not ready within ${stagePatienceSeconds}s, and not waited for: ${names}`)
      return { met: true, value: undefined }
    },
  })
}

/** `/apis/apps/v1/namespaces/media/deployments/plex` is `Deployment media/plex`. */
function keyOfPath(path: string): string {
  const [namespace = '', collection = '', name = ''] = path.split('/').slice(-3)
  const kind = Object.entries(kinds).find(([, each]) => each === collection)?.[0]
  return `${kind} ${namespace}/${name}`
}

function readinessOf(kind: string, workload: Workload): Readiness {
  const { status, spec, metadata } = workload
  const isDaemonSet = kind === 'DaemonSet'
  return {
    key: `${kind} ${fullName(workload)}`,
    uid: metadata.uid ?? '',
    wanted: isDaemonSet ? (status?.desiredNumberScheduled ?? 0) : (spec.replicas ?? 1),
    ready: isDaemonSet ? (status?.numberReady ?? 0) : (status?.readyReplicas ?? 0),
    observed: status?.observedGeneration === undefined || status.observedGeneration === metadata.generation,
  }
}

async function whyWaiting(api: KubernetesApi, waiting: readonly Readiness[]): Promise<string[]> {
  const [pods, replicaSets] = await Promise.all([listPods(api), api.list<Workload>('/apis/apps/v1/replicasets')])
  const controllers = controllersOf(replicaSets)
  const unready = pods.filter((pod) => !isFinished(pod) && !isReady(pod))
  return waiting.map((each) => {
    const pod = unready.find((candidate) => ownerOf(candidate, controllers)?.uid === each.uid)
    const why = pod ? `${pod.metadata.name}: ${whyNotReady(pod)}` : 'no pod yet'
    return `${each.key} has ${each.ready} of ${each.wanted} (${why})`
  })
}
