import type { DrainOptions } from './drain-options.ts'
import { controllerOf, fullName, type Pod } from './kinds.ts'
import { isFinished, isMirrorPod } from './pods.ts'

/** What becomes of a pod when its node is drained. */
export type Fate =
  | { readonly action: 'evict'; readonly notes: readonly string[] }
  | { readonly action: 'leave'; readonly notes: readonly string[] }
  | { readonly action: 'refuse'; readonly notes: readonly string[]; readonly unless: readonly Permission[] }

/** The flags that let a pod go which is refused without them. */
export type Permission = '--force' | '--delete-emptydir-data'

type Filters = Pick<DrainOptions, 'force' | 'deleteEmptyDirData' | 'skipWaitSeconds'> & {
  /** DaemonSets that exist, as `namespace/name` */
  readonly daemonSets: ReadonlySet<string>
  readonly now: Date
}

type Verdict = { leave: string } | { refuse: string; unless: Permission } | { note: string } | null

/**
 * The filters of `kubectl drain --ignore-daemonsets`: the first that leaves a pod decides. Where kubectl names only the
 * first reason for refusing a pod, all are named here.
 * Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_drain/
 */
export function fateOf(pod: Pod, filters: Filters): Fate {
  const verdicts: Verdict[] = []
  for (const filter of [byDeletion, byDaemonSet, byMirror, byLocalData, byController]) {
    const verdict = filter(pod, filters)
    if (verdict && 'leave' in verdict) return { action: 'leave', notes: [verdict.leave] }
    verdicts.push(verdict)
  }
  const refusals = verdicts.flatMap((verdict) => (verdict && 'refuse' in verdict ? [verdict] : []))
  if (refusals.length === 0) {
    return { action: 'evict', notes: verdicts.flatMap((verdict) => (verdict && 'note' in verdict ? verdict.note : [])) }
  }
  return {
    action: 'refuse',
    notes: refusals.map(({ refuse }) => refuse),
    unless: [...new Set(refusals.map(({ unless }) => unless))],
  }
}

/** Whether the pod's end is overdue for longer than `skipWaitSeconds`: on a dead node nothing will ever end it. */
export function isOverdue(pod: Pod, { skipWaitSeconds }: Pick<DrainOptions, 'skipWaitSeconds'>, now: Date): boolean {
  const { deletionTimestamp } = pod.metadata
  if (skipWaitSeconds === undefined || deletionTimestamp === undefined) return false
  return now.getTime() - Date.parse(deletionTimestamp) > skipWaitSeconds * 1000
}

function byDeletion(pod: Pod, filters: Filters): Verdict {
  if (!isOverdue(pod, filters, filters.now)) return null
  return { leave: `it should have ended at ${pod.metadata.deletionTimestamp}; not waited for, as told` }
}

function byDaemonSet(pod: Pod, { daemonSets, force }: Filters): Verdict {
  const controller = controllerOf(pod)
  if (controller?.kind !== 'DaemonSet' || controller.apiVersion !== 'apps/v1' || isFinished(pod)) return null
  const name = `${pod.metadata.namespace}/${controller.name}`
  if (daemonSets.has(name)) return { leave: `DaemonSet ${name} would start it again here` }
  return force
    ? { note: `its DaemonSet ${name} is gone` }
    : { refuse: `its DaemonSet ${name} is gone, so nothing would bring it back`, unless: '--force' }
}

function byMirror(pod: Pod): Verdict {
  return isMirrorPod(pod) ? { leave: 'a static pod; only its kubelet can stop it' } : null
}

function byLocalData(pod: Pod, { deleteEmptyDirData }: Filters): Verdict {
  const scratch = pod.spec.volumes?.filter((volume) => volume.emptyDir !== undefined) ?? []
  if (scratch.length === 0 || isFinished(pod)) return null
  const inMemory = scratch.every((volume) => volume.emptyDir?.medium === 'Memory')
  const data = `emptyDir data${inMemory ? ' (in memory)' : ''}`
  return deleteEmptyDirData
    ? { note: `its ${data} is deleted` }
    : { refuse: `it has ${data} that would be deleted`, unless: '--delete-emptydir-data' }
}

function byController(pod: Pod, { force }: Filters): Verdict {
  if (isFinished(pod) || controllerOf(pod)) return null
  return force
    ? { note: 'no controller will bring it back' }
    : { refuse: `no controller would bring Pod ${fullName(pod)} back`, unless: '--force' }
}
