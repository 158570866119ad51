import pMap from 'p-map'
import * as z from 'zod'
import type { JournaledChange, Migration, Undone } from '../migration/migration.ts'
import { ApiError, type KubernetesApi } from './api.ts'
import { podsAreGone } from './gone.ts'
import type { Workload } from './kinds.ts'
import { operatorUndoKind, operatorUndoSchema, undoOperatorPause } from './operators.ts'
import { describeWorkload, listScalable, type ScalableWorkload, type StatefulWorkload } from './workloads.ts'

export const scaleUndoKind = 'scale'

/** What the journal holds of a workload: where it is, how many replicas it had, and in which stage it comes back. */
export const scaleUndoSchema = z.object({
  kind: z.literal(scaleUndoKind),
  path: z.string(),
  replicas: z.number(),
  stage: z.number().optional(),
})

const concurrency = 8

/** Operators that are stopped before what they make: they come back last of all. */
export const operatorStage = 0

/** Scales workloads to 0, each with its replicas journaled first, and waits until their pods are gone. */
export async function scaleDown(
  migration: Migration,
  api: KubernetesApi,
  workloads: readonly StatefulWorkload[],
): Promise<void> {
  if (workloads.length === 0) return
  const scale = (workload: StatefulWorkload) => scaleToZero(migration, api, workload, stageOf(workload))
  await pMap(workloads, scale, { concurrency })
  await podsAreGone(migration, api, workloads, [], scale)
}

/** One workload, which comes back in the given stage. Called again, the journal keeps the first count. */
export async function scaleToZero(
  migration: Migration,
  api: KubernetesApi,
  workload: ScalableWorkload,
  stage: number,
): Promise<void> {
  await migration.change(`Scale ${describeWorkload(workload)} to 0`, {
    undo: { kind: scaleUndoKind, path: workload.path, replicas: workload.replicas, stage },
    apply: async () => {
      await api.mergePatch(workload.path, { spec: { replicas: 0 } })
    },
  })
}

/**
 * Scales down what we had scaled down and somebody has scaled up since; the journal keeps the first count. Returns its
 * names.
 */
export async function scaleDownAgain(migration: Migration, api: KubernetesApi): Promise<string[]> {
  const standing = migration.journal.changes({ kind: scaleUndoKind }).filter((change) => change.state !== 'undone')
  const replicas = new Map((await listScalable(api)).map((workload) => [workload.path, workload.replicas]))
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

/**
 * Puts the replicas of one workload back, if it still is at 0. Another count is somebody's decision and is kept.
 * @param takeBack puts them back over that count too
 */
export async function undoScale(api: KubernetesApi, undo: unknown, takeBack = false): Promise<Undone> {
  const { path, replicas } = scaleUndoSchema.parse(undo)
  const object = await api.getOrNull<Workload>(path)
  if (!object) return `conflict: it is not there any more; it had ${replicas} replicas`
  const now = object.spec.replicas ?? 1
  if (now === replicas) return 'already'
  if (now !== 0 && !takeBack) {
    return `conflict: it has ${now} replicas now, and had ${replicas} before the drain. Kept as it is.`
  }
  try {
    await api.jsonPatch(path, [
      { op: 'test', path: '/spec/replicas', value: now },
      { op: 'replace', path: '/spec/replicas', value: replicas },
    ])
    return 'undone'
  } catch (error) {
    // The test failed: somebody scaled it between our look and our patch, so there is something new to look at.
    if (error instanceof ApiError && error.status === 422) return undoScale(api, undo, takeBack)
    throw error
  }
}

/**
 * Brings back every workload that the journal says we scaled down, and every database that its operator has stopped for
 * us, in the reverse of the order in which they went: databases before those who use them, operators last.
 * @param stageIsBack waited for between two stages, with the paths of the workloads that came back
 */
export async function scaleBack(
  migration: Migration,
  api: KubernetesApi,
  stageIsBack: (paths: readonly string[]) => Promise<void> = async () => undefined,
): Promise<void> {
  const standing = migration.journal
    .changes()
    .filter((change) => change.state !== 'undone' && comesBackInAStage(change))
  const stages = [...new Set(standing.map(stageOfChange))].sort((a, b) => b - a)
  for (const stage of stages) {
    const inStage = standing.filter((change) => stageOfChange(change) === stage && !scaledBy(change))
    await pMap(inStage, (change) => bringBack(migration, api, change, standing), { concurrency })
    if (stage !== stages.at(-1)) await stageIsBack(inStage.map(pathOf))
  }
}

/** An autoscaler is let go directly after its workload: one that is restarted in between would scale it to 0 again. */
async function bringBack(
  migration: Migration,
  api: KubernetesApi,
  change: JournaledChange,
  standing: readonly JournaledChange[],
): Promise<void> {
  const takeBack = migration.flags['take-back'] === true
  const undo = change.undo?.kind === scaleUndoKind ? undoScale : undoOperatorPause
  await migration.undo(change, () => undo(api, change.undo, takeBack))
  for (const autoscaler of standing.filter((each) => scaledBy(each) === pathOf(change))) {
    await migration.undo(autoscaler, () => undoOperatorPause(api, autoscaler.undo, takeBack))
  }
}

function comesBackInAStage({ undo }: JournaledChange): boolean {
  return undo?.kind === scaleUndoKind || (undo?.kind === operatorUndoKind && undo.stage !== undefined)
}

function scaledBy({ undo }: JournaledChange): string | undefined {
  return undo?.kind === operatorUndoKind ? operatorUndoSchema.parse(undo).scales : undefined
}

function stageOfChange({ undo }: JournaledChange): number {
  return typeof undo?.stage === 'number' ? undo.stage : stageOf({ path: String(undo?.path) })
}

/** Without an order, a StatefulSet is taken for a database. */
function stageOf({ path }: { path: string }): number {
  return path.includes('/statefulsets/') ? 2 : 1
}

function pathOf({ undo }: JournaledChange): string {
  return String(undo?.path)
}
