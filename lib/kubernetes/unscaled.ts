import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import type { KubernetesApi } from './api.ts'
import { controllerOf, fullName, type Pod, type Workload } from './kinds.ts'
import { describeMount, type Mount, Storage } from './mounts.ts'
import { isFinished, listPods } from './pods.ts'

/** Something that mounts a claim and has no replicas that could be set to 0. */
export interface Unscaled {
  /** `DaemonSet media/mounter` */
  readonly who: string
  readonly mounts: readonly string[]
  readonly fate: string
}

/**
 * DaemonSets, Jobs, pods of nobody and pods that a custom resource makes without a StatefulSet, as far as they mount a
 * claim: a drain ends them or leaves them, and the operator is to know which.
 */
export async function findUnscaled(
  api: KubernetesApi,
  settings: Pick<Settings, 'localStorageClasses' | 'nfsStorageClasses'>,
): Promise<Unscaled[]> {
  const [daemonSets, pods, storage] = await Promise.all([
    api.list<Workload>('/apis/apps/v1/daemonsets'),
    listPods(api),
    Storage.read(api, settings),
  ])
  const everywhere = daemonSets.map((object) => ({
    who: `DaemonSet ${fullName(object)}`,
    mounts: storage.mountsOf(object),
    fate: 'keeps running where it is, until its machine is shut down',
  }))
  const single = pods.filter((pod) => !isFinished(pod)).flatMap((pod) => ofPod(pod, storage) ?? [])
  return unique([...everywhere, ...single].filter(({ mounts }) => mounts.length > 0))
}

/** Shows them, if there are any. */
export function showUnscaled({ console }: Migration, unscaled: readonly Unscaled[]): void {
  if (unscaled.length === 0) return
  const rows = unscaled.map(({ who, mounts, fate }) => [who, mounts.join(', '), fate])
  console.table('Mount volumes, and have no replicas to be set to 0', ['what', 'mounts', 'what becomes of it'], rows)
}

function ofPod(pod: Pod, storage: Storage) {
  const controller = controllerOf(pod)
  // Scaled with its workload, or listed as a DaemonSet.
  if (controller?.apiVersion === 'apps/v1' || controller?.kind === 'ReplicationController') return null
  const mounts = storage.mountsOfTemplate(pod.metadata.namespace ?? '', pod.spec)
  if (!controller) {
    return { who: `Pod ${fullName(pod)}`, mounts, fate: 'is evicted only with --force, and nothing brings it back' }
  }
  const who = `${controller.kind} ${pod.metadata.namespace}/${controller.name}`
  const isJob = controller.kind === 'Job'
  const fate = isJob
    ? 'is waited for (JOB_TIMEOUT), then evicted; it begins anew afterwards'
    : 'is ended by its operator if that is known here, else evicted'
  return { who, mounts, fate }
}

function unique(found: readonly { who: string; mounts: readonly Mount[]; fate: string }[]): Unscaled[] {
  const byName = new Map<string, Unscaled>()
  for (const { who, mounts, fate } of found) {
    const known = byName.get(who)?.mounts ?? []
    byName.set(who, { who, mounts: [...new Set([...known, ...mounts.map(describeMount)])], fate })
  }
  return [...byName.values()]
}
