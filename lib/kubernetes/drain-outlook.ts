import { OperatorError } from '../migration/errors.ts'
import { ApiError, type KubernetesApi, type KubernetesObject } from './api.ts'
import { type Blocker, predictBlockers } from './disruption.ts'
import { fateOf } from './drain-filters.ts'
import type { DrainOptions } from './drain-options.ts'
import { findStranded, type Stranded } from './homes/homes.ts'
import {
  fullName,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type VolumeAttachment,
  type Workload,
} from './kinds.ts'
import { listNodes, notASelector, otherHomes } from './nodes.ts'
import { findObstacles, type Obstacle } from './obstacles.ts'
import { controllersOf, describeOwner, listPods, type Owner, ownerOf } from './pods.ts'
import { listScalable, type ScalableWorkload, type StatefulWorkload } from './workloads.ts'

/** What a drain of some nodes will meet, seen before anything is changed. */
export interface DrainOutlook {
  readonly nodes: readonly string[]
  readonly onlyHome: boolean
  readonly evicted: readonly { pod: Pod; notes: readonly string[] }[]
  readonly left: readonly { pod: Pod; notes: readonly string[] }[]
  /** how many more would go if the pod selector did not leave them out */
  readonly unselected: number
  readonly refused: readonly { pod: Pod; notes: readonly string[]; unless: readonly string[] }[]
  /** pods whose replacements find no other node, with the workload that they belong to */
  readonly stranded: readonly (Stranded & { workload: string })[]
  readonly obstacles: readonly Obstacle[]
  readonly blockers: readonly Blocker[]
  /** workloads whose budget can only be satisfied by having no pods: they are scaled down rather than waited for */
  readonly toScaleDown: readonly StatefulWorkload[]
  /** blockers that are asked again until the timeout */
  readonly unresolved: readonly Blocker[]
}

/**
 * Reads what a drain would do, and what would block it.
 * @param names Nodes, none of them virtual (getNode)
 * @param scaledDown what is taken as gone, because it is scaled down before
 * @throws OperatorError with exit code 2 when the pod selector is none
 */
export async function lookAhead(
  api: KubernetesApi,
  names: readonly string[],
  options: DrainOptions & { scaledDown?: readonly StatefulWorkload[]; now: Date },
): Promise<DrainOutlook> {
  const seen = await look(api, names, options)
  const emptied = new Set(names)
  const gone = new Set((options.scaledDown ?? []).map((workload) => workload.uid))
  const controllers = controllersOf(seen.replicaSets)
  const owner = (pod: Pod) => ownerOf(pod, controllers)
  const staying = seen.pods.filter((pod) => !gone.has(owner(pod)?.uid ?? ''))
  const fates = fatesOf(
    staying.filter((pod) => emptied.has(pod.spec.nodeName ?? '')),
    seen,
    options,
  )
  const leaving = fates.evicted.map(({ pod }) => pod)
  const stranded = findStranded(leaving, emptied, { ...seen, pods: staying })
  const describeWorkload = describer(owner, seen.workloads)
  const prediction = { leaving, all: staying, stranded: new Set(stranded.map(({ pod }) => pod)), describeWorkload }
  const blockers = options.disableEviction ? [] : predictBlockers(seen.budgets, prediction)
  return {
    nodes: names,
    onlyHome: otherHomes(seen.nodes, emptied).length === 0,
    ...fates,
    stranded: stranded.map((each) => ({ ...each, workload: describeWorkload(each.pod) })),
    obstacles: findObstacles(leaving, seen),
    blockers,
    ...resolve(blockers, seen.workloads, owner),
  }
}

/** @throws OperatorError naming every pod that may not be evicted without being told so */
export function refuseUntold(outlook: DrainOutlook): void {
  const { refused } = outlook
  if (refused.length === 0) return
  const lines = refused.map(({ pod, notes }) => `  ${fullName(pod)}: ${notes.join('; ')}`)
  const flags = [...new Set(refused.flatMap(({ unless }) => unless))].sort()
  const asSetting = flags.includes('--delete-emptydir-data') ? ' (as a setting: EMPTYDIR_DATA=delete)' : ''
  throw new OperatorError(
    `${refused.length} ${refused.length === 1 ? 'pod' : 'pods'} on ${outlook.nodes.join(', ')} would lose something, or not come back:\n${lines.join('\n')}`,
    {
      means: 'None of them was evicted.',
      next: `Save what they hold or give them a controller, or accept it: task migrate:drain -- ${flags.join(' ')}${asSetting}`,
    },
  )
}

type Seen = Awaited<ReturnType<typeof look>>

/** All that a prediction rests on, read at once. */
async function look(api: KubernetesApi, names: readonly string[], { podSelector }: DrainOptions) {
  const csiNode = (name: string) => api.getOrNull<CsiNode>(`/apis/storage.k8s.io/v1/csinodes/${name}`)
  const [pods, selected, nodes, namespaces, daemonSets, budgets, replicaSets, workloads, claims, volumes, attachments] =
    await Promise.all([
      listPods(api),
      podSelector === undefined ? null : podsWith(api, podSelector),
      listNodes(api),
      api.list('/api/v1/namespaces'),
      api.list('/apis/apps/v1/daemonsets'),
      api.list<PodDisruptionBudget>('/apis/policy/v1/poddisruptionbudgets'),
      api.list<Workload>('/apis/apps/v1/replicasets'),
      listScalable(api),
      api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
      api.list<PersistentVolume>('/api/v1/persistentvolumes'),
      api.list<VolumeAttachment>('/apis/storage.k8s.io/v1/volumeattachments'),
    ])
  const csiNodes = await Promise.all(names.map(csiNode))
  const drivers = new Set(
    csiNodes.flatMap((each) => each?.spec.drivers?.map(({ name }) => `${each.metadata.name}/${name}`) ?? []),
  )
  const isSelected = (pod: Pod) => selected?.has(pod.metadata.uid ?? '') ?? true
  return {
    pods,
    isSelected,
    nodes,
    namespaces,
    daemonSets,
    budgets,
    replicaSets,
    workloads,
    claims,
    volumes,
    attachments,
    drivers,
  }
}

interface CsiNode extends KubernetesObject {
  spec: { drivers?: { name: string }[] | null }
}

/** UIDs of the pods with these labels. The API server reads the selector, so it means what it means to kubectl. */
async function podsWith(api: KubernetesApi, labels: string): Promise<Set<string>> {
  try {
    return new Set((await listPods(api, { labels })).map((pod) => pod.metadata.uid ?? ''))
  } catch (error) {
    if (error instanceof ApiError && error.status === 400) throw notASelector(labels, error)
    throw error
  }
}

/** What becomes of the pods of the emptied nodes. */
function fatesOf(
  pods: readonly Pod[],
  { daemonSets, isSelected }: Pick<Seen, 'daemonSets' | 'isSelected'>,
  options: DrainOptions & { now: Date },
): Pick<DrainOutlook, 'evicted' | 'left' | 'refused' | 'unselected'> {
  const filters = { ...options, daemonSets: new Set(daemonSets.map((each) => fullName(each))) }
  const all = pods.map((pod) => ({ pod, ...fateOf(pod, filters) }))
  const here = all.filter(({ pod }) => isSelected(pod))
  return {
    evicted: here.filter(({ action }) => action === 'evict'),
    left: here.filter(({ action }) => action === 'leave'),
    refused: here.flatMap((each) => (each.action === 'refuse' ? [each] : [])),
    unselected: all.filter(({ pod, action }) => action !== 'leave' && !isSelected(pod)).length,
  }
}

/** `Deployment media/plex (2 replicas)`, or the pod itself. */
function describer(owner: (pod: Pod) => Owner | null, workloads: readonly ScalableWorkload[]) {
  const replicas = new Map(workloads.map((workload) => [workload.uid, workload.replicas]))
  return (pod: Pod) => {
    const found = owner(pod)
    const count = replicas.get(found?.uid ?? '')
    const behind = count === undefined ? '' : ` (${count} ${count === 1 ? 'replica' : 'replicas'})`
    return `${describeOwner(found, pod)}${behind}`
  }
}

function resolve(
  blockers: readonly Blocker[],
  workloads: readonly ScalableWorkload[],
  owner: (pod: Pod) => Owner | null,
): Pick<DrainOutlook, 'toScaleDown' | 'unresolved'> {
  const byUid = new Map(workloads.map((workload) => [workload.uid, workload]))
  const solvable = blockers
    .filter((blocker) => blocker.unlessScaledDown)
    .map((blocker) => ({ blocker, owners: blocker.pods.map((pod) => byUid.get(owner(pod)?.uid ?? '')) }))
    .filter(({ owners }) => owners.every((each) => each !== undefined))
  const toScaleDown = new Map<string, StatefulWorkload>()
  for (const { blocker, owners } of solvable) {
    for (const each of owners) if (each) toScaleDown.set(each.uid, { ...each, reason: `budget ${blocker.budget}` })
  }
  const solved = new Set(solvable.map(({ blocker }) => blocker))
  return { toScaleDown: [...toScaleDown.values()], unresolved: blockers.filter((blocker) => !solved.has(blocker)) }
}
