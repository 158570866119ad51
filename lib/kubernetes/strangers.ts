import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { podsAreGone } from './gone.ts'
import type { Workload } from './kinds.ts'
import { type Operated, readOperated } from './operators.ts'
import { operatorStage, scaleToZero } from './scale.ts'
import { describeWorkload, listScalable, type OwningResource, type ScalableWorkload } from './workloads.ts'
import { writersOf } from './writers.ts'

/** A kind of custom resource whose operator cannot be told to leave its workloads alone. */
export interface Strangers {
  readonly group: string
  readonly kind: string
  readonly workloads: readonly ScalableWorkload[]
  /** what runs its operator, stopped already or not; none if it was not found */
  readonly operators: readonly ScalableWorkload[]
}

/**
 * The owners of these workloads that the table of operators does not know, or that have no pause, each with the operator
 * that makes them: whatever runs under a ServiceAccount that may write the status of this very resource.
 * @param deaf what was told to pause, and has no such field
 */
export async function findStrangers(
  api: KubernetesApi,
  workloads: readonly ScalableWorkload[],
  deaf: readonly Operated[] = [],
): Promise<Strangers[]> {
  const owned = workloads.flatMap((workload) => (workload.operatedBy ? [{ workload, owner: workload.operatedBy }] : []))
  if (owned.length === 0) return []
  const deafUids = new Set(deaf.map(({ uid }) => uid))
  const known = new Set((await readOperated(api)).map(({ uid }) => uid).filter((uid) => !deafUids.has(uid)))
  const unknown = owned.filter(({ owner }) => !known.has(owner.uid))
  const present = unknown.length > 0 ? await listScalable(api) : []
  const kinds = new Map<string, { owner: OwningResource; workloads: ScalableWorkload[] }>()
  for (const { workload, owner } of unknown) {
    const kind = kinds.get(`${owner.kind}.${owner.group}`) ?? { owner, workloads: [] }
    kind.workloads.push(workload)
    kinds.set(`${owner.kind}.${owner.group}`, kind)
  }
  return Promise.all(
    [...kinds.values()].map(async ({ owner: { group, kind }, workloads: made }) => {
      const writers = await writersOf(api, { group, kind })
      const candidates = present.filter((each) => writers.has(`${each.namespace}/${accountOf(each.object)}`))
      return { group, kind, workloads: made, operators: nearest(candidates, made) }
    }),
  )
}

/** Scales their operators down before them, and says who has none that was found. Returns the names of the operators. */
export async function stopStrangers(
  migration: Migration,
  api: KubernetesApi,
  strangers: readonly Strangers[],
): Promise<string[]> {
  for (const each of strangers) tell(migration, each)
  const running = unique(strangers.flatMap(({ operators }) => operators)).filter(({ replicas }) => replicas > 0)
  const stop = (workload: ScalableWorkload) => scaleToZero(migration, api, workload, operatorStage)
  for (const workload of running) await stop(workload)
  const reasoned = running.map((workload) => ({ ...workload, reason: 'operator' }))
  if (running.length > 0) await podsAreGone(migration, api, reasoned, [], stop)
  return running.map(describeWorkload)
}

function tell({ console }: Migration, { group, kind, workloads, operators }: Strangers): void {
  const made = workloads.map(describeWorkload).join(', ')
  if (operators.length === 0) {
    console.warn(
      `${made}: made by the operator of ${kind} (${group}), which was not found: no ServiceAccount with a workload may write their status. If it scales them back, stop it by hand, and run this again.`,
    )
    return
  }
  const who = operators.map(describeWorkload).join(', ')
  console.info(
    `${made}: made by the operator of ${kind} (${group}), which cannot be paused. ${who} is scaled down first.`,
  )
}

/** Several may write it (a tool that makes backups does): then whoever is named in what they have made is meant. */
function nearest(candidates: readonly ScalableWorkload[], made: readonly ScalableWorkload[]): ScalableWorkload[] {
  if (candidates.length < 2) return [...candidates]
  const hints = new Set(made.flatMap(({ object }) => hintsOf(object)))
  const hinted = candidates.filter(({ name }) => [...hints].some((hint) => name.includes(hint) || hint.includes(name)))
  return hinted.length > 0 ? hinted : [...candidates]
}

/** The tools that wrote an object, and the label that says who manages it. */
function hintsOf({ metadata }: KubernetesObject): string[] {
  const managers = (metadata.managedFields ?? []) as { manager?: string }[]
  const everybody = ['kube-controller-manager', 'kubectl', 'manager', 'Helm']
  return [...managers.map(({ manager }) => manager), metadata.labels?.['app.kubernetes.io/managed-by']].filter(
    (hint): hint is string => hint !== undefined && hint !== '' && !everybody.includes(hint),
  )
}

function accountOf({ spec }: Workload): string {
  return spec.template?.spec.serviceAccountName ?? 'default'
}

function unique(workloads: readonly ScalableWorkload[]): ScalableWorkload[] {
  return [...new Map(workloads.map((workload) => [workload.path, workload])).values()]
}
