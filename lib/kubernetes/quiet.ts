import pMap from 'p-map'
import type { Journal, Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { podsAreGone, volumesAreReleased } from './gone.ts'
import { takeOtherMeans } from './heeding.ts'
import { Storage } from './mounts.ts'
import { describeOperated, type Operated, pauseOperated, readOperated } from './operators.ts'
import { operatorStage, scaleToZero, scaleUndoKind } from './scale.ts'
import { type Staged, stagesOf } from './stages.ts'
import { findStrangers, stopStrangers } from './strangers.ts'
import { describeWorkload, listScalable, type StatefulWorkload } from './workloads.ts'

/** Something that goes down: a workload that is scaled, or a custom resource whose operator ends its pods. */
type Item = Staged & ({ readonly workload: StatefulWorkload } | { readonly stopped: Operated })

const concurrency = 8

/**
 * Brings workloads to rest, each by the means of whoever decides about it, stage by stage in the order of QUIET_ORDER:
 * a database that its operator can stop is stopped so; all else is scaled to 0, and its autoscaler (KEDA, an HPA that
 * may choose 0) paused with it. An ordinary HorizontalPodAutoscaler needs nothing: at 0 replicas it is off, and goes on
 * by itself once there are some again. Waits for each stage until the pods are gone and their volumes let go.
 * Source:
 * https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
 */
export async function quietWorkloads(
  migration: Migration,
  api: KubernetesApi,
  workloads: readonly StatefulWorkload[],
): Promise<void> {
  const [operated, storage, begun] = await Promise.all([
    readOperated(api),
    Storage.read(api, migration.settings),
    begunBefore(migration, api, workloads),
  ])
  const autoscalers = operated.filter(({ paused, scales }) => !paused && scales !== null)
  const all = itemsOf([...workloads, ...begun], operated, migration.journal)
  for (const [stage, items] of stagesOf(all, migration.settings.quietOrder)) {
    await quietStage(migration, api, { stage, items, workloads, autoscalers, storage })
  }
}

interface Stage {
  readonly stage: number
  readonly items: readonly Item[]
  readonly workloads: readonly StatefulWorkload[]
  readonly autoscalers: readonly Operated[]
  readonly storage: Storage
}

async function quietStage(migration: Migration, api: KubernetesApi, parts: Stage): Promise<void> {
  const { stage, items, workloads, autoscalers, storage } = parts
  const told = items.flatMap((item) => ('stopped' in item ? item.stopped : []))
  const heard = await pMap(told, (each) => pauseOperated(migration, api, each, { stage }), { concurrency })
  const stopped = await takeOtherMeans(
    migration,
    api,
    told.filter((_, index) => heard[index]),
    { stage },
  )
  const deaf = told.filter((_, index) => !heard[index])
  const left = workloads.filter(({ operatedBy }) => deaf.some(({ uid }) => uid === operatedBy?.uid))
  await stopStrangers(migration, api, await findStrangers(api, left, deaf))
  const scaled = [...items.flatMap((item) => ('workload' in item ? item.workload : [])), ...left]
  const scale = (workload: StatefulWorkload) => quietOne(migration, api, workload, stage, autoscalers)
  await pMap(scaled, scale, { concurrency })
  await podsAreGone(migration, api, scaled, stopped, scale)
  const volumes = scaled.flatMap(({ object }) => storage.mountsOf(object).flatMap(({ volume }) => volume ?? []))
  await volumesAreReleased(migration, api, [...new Set(volumes)])
}

/**
 * What was scaled down before a kill is at 0 now, and so not found as stateful: its pods may still be there, and its
 * autoscaler may not be paused yet.
 */
async function begunBefore(
  { journal }: Migration,
  api: KubernetesApi,
  found: readonly StatefulWorkload[],
): Promise<StatefulWorkload[]> {
  const paths = new Set(found.map(({ path }) => path))
  const begun = journal.changes({ kind: scaleUndoKind }).filter(({ state, undo }) => {
    return state !== 'undone' && undo?.stage !== operatorStage && !paths.has(String(undo?.path))
  })
  if (begun.length === 0) return []
  const present = new Map((await listScalable(api)).map((workload) => [workload.path, workload]))
  return begun.flatMap(({ undo }) => {
    const workload = present.get(String(undo?.path))
    return workload ? { ...workload, reason: 'scaled down before' } : []
  })
}

function itemsOf(workloads: readonly StatefulWorkload[], operated: readonly Operated[], journal: Journal): Item[] {
  const ending = operated.filter(({ pause }) => pause.pods === 'end')
  const uids = new Set(ending.map(({ uid }) => uid))
  const scaled = workloads
    .filter(({ operatedBy }) => !uids.has(operatedBy?.uid ?? ''))
    .map((workload): Item => {
      const { namespace, name, kind } = workload
      return { namespace, name, isDatabase: kind === 'StatefulSet', workload }
    })
  const stopped = ending
    .filter((each) => !each.paused || journal.standingChange(`Pause ${describeOperated(each)}`))
    .filter((each) => !journal.standingChange(`${each.otherwise?.pause.verb} ${describeOperated(each)}`))
    .map((each): Item => ({ namespace: each.namespace, name: each.name, isDatabase: true, stopped: each }))
  return [...scaled, ...stopped]
}

/** The count is in the journal before the autoscaler is told: what that then does to the count is not taken for it. */
async function quietOne(
  migration: Migration,
  api: KubernetesApi,
  workload: StatefulWorkload,
  stage: number,
  autoscalers: readonly Operated[],
): Promise<void> {
  await scaleToZero(migration, api, workload, stage)
  for (const autoscaler of autoscalers.filter(({ scales }) => scales === describeWorkload(workload))) {
    await pauseOperated(migration, api, autoscaler, { stage, scales: workload.path })
  }
}
