import type { LostChange } from '../migration/adopt.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { cronJobUndoKind } from './cronjobs.ts'
import { type CronJob, fullName, type Node } from './kinds.ts'
import { cordonUndoKind } from './nodes.ts'
import { operators } from './operators/table.ts'
import { describeOperated, type Operated, operatedFrom, operatorUndoKind, shown } from './operators.ts'
import { scaleUndoKind } from './scale.ts'
import { collectionPath, servedResources } from './served.ts'
import { describeWorkload, listScalable, scalableIn } from './workloads.ts'

/** All objects of one resource that a backup holds. */
export type InBackup = (group: string, resource: string) => Promise<KubernetesObject[]>

/**
 * What a drain has quieted, found without its journal: whatever has a drain's value now, and had another one in the
 * backup that was taken before. What has any other value now is somebody's decision.
 * @param node the one that a drain cordons
 */
export async function findLostQuiet(api: KubernetesApi, inBackup: InBackup, node: string): Promise<LostChange[]> {
  const found = await Promise.all([
    lostScales(api, inBackup),
    lostCronJobs(api, inBackup),
    lostPauses(api, inBackup),
    lostCordon(api, inBackup, node),
  ])
  return found.flat()
}

async function lostScales(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  const [present, before] = await Promise.all([listScalable(api), scalableIn(inBackup)])
  const byKey = new Map(before.map((workload) => [describeWorkload(workload), workload]))
  return present.flatMap((workload) => {
    const { path, replicas: now } = workload
    const { replicas } = byKey.get(describeWorkload(workload)) ?? { replicas: 0 }
    if (now !== 0 || replicas === 0) return []
    const what = `Scale ${describeWorkload(workload)} to 0`
    return { what, now: '0', before: String(replicas), undo: { kind: scaleUndoKind, path, replicas } }
  })
}

async function lostCronJobs(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  const before = new Map(((await inBackup('batch', 'cronjobs')) as CronJob[]).map((each) => [fullName(each), each]))
  const present = await api.list<CronJob>('/apis/batch/v1/cronjobs')
  return present.flatMap((cronJob) => {
    const { namespace, name } = cronJob.metadata
    const then = before.get(fullName(cronJob))
    if (!then || cronJob.spec.suspend !== true || then.spec.suspend === true) return []
    const path = `/apis/batch/v1/namespaces/${namespace}/cronjobs/${name}`
    const undo = { kind: cronJobUndoKind, path, suspend: then.spec.suspend ?? null }
    return { what: `Suspend CronJob ${fullName(cronJob)}`, now: 'suspended', before: 'not suspended', undo }
  })
}

async function lostPauses(api: KubernetesApi, inBackup: InBackup): Promise<LostChange[]> {
  const paths = new Map((await listScalable(api)).map((workload) => [describeWorkload(workload), workload.path]))
  const others = operators.flatMap(({ otherwise, ...row }) => (otherwise ? { ...row, pause: otherwise.pause } : []))
  const lists = await Promise.all(
    [...operators, ...others].map(async (row) => {
      const served = await servedResources(api, row.group, row.resources)
      const pairs = served.map(async (resource) => {
        const read = (objects: KubernetesObject[]) => objects.flatMap((each) => operatedFrom(row, resource, each) ?? [])
        const before = new Map(
          read(await inBackup(row.group, resource.resource)).map((each) => [each.path, each] as const),
        )
        return read(await api.list(collectionPath(resource))).flatMap((now) => lostPause(now, before, paths))
      })
      return (await Promise.all(pairs)).flat()
    }),
  )
  return lists.flat()
}

function lostPause(
  now: Operated,
  all: ReadonlyMap<string, Operated>,
  workloads: ReadonlyMap<string, string>,
): LostChange[] {
  const then = all.get(now.path)
  if (!then || !now.paused || then.paused) return []
  const { path, before, there } = then
  const { field, value, pods } = now.pause
  const scales = workloads.get(now.scales ?? '')
  const comesBack = { ...(pods === 'end' ? { stage: 2 } : {}), ...(scales === undefined ? {} : { stage: 1, scales }) }
  const undo = { kind: operatorUndoKind, path, field: [...field], value, before, there, ...comesBack }
  const told = (each: unknown) => `${field.at(-1)}: ${shown(each)}`
  return [
    { what: `${now.pause.verb ?? 'Pause'} ${describeOperated(now)}`, now: told(value), before: told(before), undo },
  ]
}

async function lostCordon(api: KubernetesApi, inBackup: InBackup, name: string): Promise<LostChange[]> {
  const now = await api.getOrNull<Node>(`/api/v1/nodes/${name}`)
  const then = ((await inBackup('', 'nodes')) as Node[]).find(({ metadata }) => metadata.name === name)
  if (!then || now?.spec.unschedulable !== true || then.spec.unschedulable === true) return []
  const undo = { kind: cordonUndoKind, node: name }
  return [{ what: `Cordon Node ${name}`, now: 'cordoned', before: 'not cordoned', undo }]
}
