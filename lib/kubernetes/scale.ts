import pMap from 'p-map'
import { z } from 'zod'
import type { Migration, Undone } from '../migration/migration.ts'
import { ApiError, type KubernetesApi } from './api.ts'
import { controllerOf, fullName, type Pod, selects, type Workload } from './kinds.ts'
import { isFinished, listPods } from './pods.ts'
import { listScalable, type ScalableWorkload, type StatefulWorkload } from './workloads.ts'

export const scaleUndoKind = 'scale'

/** What the journal holds of a workload: where it is, and how many replicas it had. */
const scaleUndoSchema = z.object({ kind: z.literal(scaleUndoKind), path: z.string(), replicas: z.number() })

const concurrency = 8

/**
 * Scales workloads to 0, each with its replicas journaled first, and waits until their pods are gone. Deployments go
 * before StatefulSets, for they are what uses a database, or the operator that would scale a StatefulSet back. A
 * HorizontalPodAutoscaler needs nothing: at 0 replicas it is switched off, and goes on by itself once there are some
 * again.
 * Source:
 * https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
 */
export async function scaleDown(
  migration: Migration,
  api: KubernetesApi,
  workloads: readonly StatefulWorkload[],
): Promise<void> {
  const users = workloads.filter((workload) => workload.kind !== 'StatefulSet')
  const databases = workloads.filter((workload) => workload.kind === 'StatefulSet')
  for (const group of [users, databases].filter((each) => each.length > 0)) {
    await pMap(group, (workload) => scaleToZero(migration, api, workload), { concurrency })
    await podsAreGone(migration, api, group)
  }
}

/** Waits until workloads have no pod left, and scales back to 0 what somebody (an operator) has scaled up meanwhile. */
async function podsAreGone(
  migration: Migration,
  api: KubernetesApi,
  workloads: readonly StatefulWorkload[],
): Promise<void> {
  const operators = [...new Set(workloads.flatMap((workload) => workload.operatedBy ?? []))]
  await migration.wait({
    name: 'the pods of the scaled down workloads are gone',
    timeoutSeconds: migration.settings.drainTimeout,
    everyMs: 1000,
    hint:
      operators.length > 0
        ? `These are made by an operator that may scale them back: ${operators.join(', ')}. Stop the operator, then run this again.`
        : 'Look at what holds the pods: kubectl describe pod. A pod that cannot end on a dead node: kubectl delete pod --force.',
    probe: async () => {
      const left = await podsOf(api, workloads)
      const scaledBack = migration.dryRun ? [] : await scaledUpAgain(api, workloads)
      for (const workload of scaledBack) await scaleToZero(migration, api, workload)
      if (scaledBack.length > 0)
        return { met: false, saw: `scaled back by somebody: ${scaledBack.map(describe).join(', ')}` }
      return left.length === 0
        ? { met: true, value: undefined }
        : { met: false, saw: `${left.length} pods left: ${left.slice(0, 5).map(describePod).join(', ')}` }
    },
  })
}

/**
 * Scales down what we had scaled down and somebody has scaled up since; the journal keeps the first count. Returns its
 * names.
 */
export async function scaleDownAgain(migration: Migration, api: KubernetesApi): Promise<string[]> {
  const standing = migration.journal.changes({ kind: scaleUndoKind }).filter((change) => change.state !== 'undone')
  const replicas = await replicasByPath(api)
  const woken = standing.filter((change) => (replicas.get(scaleUndoSchema.parse(change.undo).path) ?? 0) > 0)
  await pMap(
    woken,
    (change) => {
      const { path } = scaleUndoSchema.parse(change.undo)
      return migration.change(change.what, { apply: () => api.mergePatch(path, { spec: { replicas: 0 } }) })
    },
    { concurrency },
  )
  return woken.map((change) => change.what)
}

/** Puts the replicas of one workload back, if it still is at 0. Another count is somebody's decision and is kept. */
export async function undoScale(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, replicas } = scaleUndoSchema.parse(undo)
  const object = await api.getOrNull<Workload>(path)
  if (!object) return `conflict: it is not there any more; it had ${replicas} replicas`
  const now = object.spec.replicas ?? 1
  if (now === replicas) return 'already'
  if (now !== 0) return `conflict: it has ${now} replicas now, and had ${replicas} before the drain. Kept as it is.`
  try {
    await api.jsonPatch(path, [
      { op: 'test', path: '/spec/replicas', value: 0 },
      { op: 'replace', path: '/spec/replicas', value: replicas },
    ])
    return 'undone'
  } catch (error) {
    // The test failed: somebody scaled it between our look and our patch, so there is something new to look at.
    if (error instanceof ApiError && error.status === 422) return undoScale(api, undo)
    throw error
  }
}

/** Brings back every workload that the journal says we scaled down: StatefulSets before those who use them. */
export async function scaleBack(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal.changes({ kind: scaleUndoKind }).filter((change) => change.state !== 'undone')
  const isDatabase = (path: unknown) => String(path).includes('/statefulsets/')
  const databases = changes.filter((change) => isDatabase(change.undo?.path))
  const users = changes.filter((change) => !isDatabase(change.undo?.path))
  for (const group of [databases, users]) {
    await pMap(group, (change) => migration.undo(change, () => undoScale(api, change.undo)), { concurrency })
  }
}

async function scaleToZero(migration: Migration, api: KubernetesApi, workload: ScalableWorkload): Promise<void> {
  await migration.change(`Scale ${describe(workload)} to 0`, {
    undo: { kind: scaleUndoKind, path: workload.path, replicas: workload.replicas },
    apply: async () => {
      await api.mergePatch(workload.path, { spec: { replicas: 0 } })
    },
  })
}

async function scaledUpAgain(api: KubernetesApi, workloads: readonly StatefulWorkload[]): Promise<StatefulWorkload[]> {
  const replicas = await replicasByPath(api)
  return workloads.filter((workload) => (replicas.get(workload.path) ?? 0) > 0)
}

/** One list of each kind rather than one read of each workload: this is asked every second. */
async function replicasByPath(api: KubernetesApi): Promise<Map<string, number>> {
  return new Map((await listScalable(api)).map(({ path, replicas }) => [path, replicas]))
}

async function podsOf(api: KubernetesApi, workloads: readonly StatefulWorkload[]): Promise<Pod[]> {
  const pods = await listPods(api)
  return pods.filter((pod) => !isFinished(pod) && workloads.some((workload) => belongsTo(pod, workload)))
}

/** A Deployment's pods are controlled by its ReplicaSets, which are named after it. */
function belongsTo(pod: Pod, workload: ScalableWorkload): boolean {
  if (pod.metadata.namespace !== workload.namespace) return false
  const controller = controllerOf(pod)
  if (controller?.uid === workload.uid) return true
  const byReplicaSet = controller?.kind === 'ReplicaSet' && controller.name.startsWith(`${workload.name}-`)
  return byReplicaSet && selects(workload.object.spec.selector, pod.metadata.labels)
}

function describe(workload: ScalableWorkload): string {
  return `${workload.kind} ${workload.namespace}/${workload.name}`
}

function describePod(pod: Pod): string {
  return `${fullName(pod)}${pod.metadata.deletionTimestamp ? ' (terminating)' : ''}`
}
