import { controllerOf, fullName, type Pod } from './kinds.ts'
import { isFinished, isMirrorPod } from './pods.ts'

/** What becomes of a pod when its node is drained. */
export type Fate =
  | { action: 'evict'; note?: string }
  | { action: 'leave'; note: string }
  | { action: 'refuse'; note: string }

export interface DrainOptions {
  /** pods that no controller would bring back go too, and so do pods of a DaemonSet that is gone */
  readonly force: boolean
  /** emptyDir volumes are deleted with their pods; else such pods are refused */
  readonly deleteEmptyDirData: boolean
  /** DaemonSets that exist, as `namespace/name` */
  readonly daemonSets: ReadonlySet<string>
}

/**
 * The filters of `kubectl drain --ignore-daemonsets`, in its order: the first that keeps a pod from being evicted
 * decides.
 * Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_drain/
 */
export function fateOf(pod: Pod, options: DrainOptions): Fate {
  const fates = [byDaemonSet(pod, options), byMirror(pod), byLocalData(pod, options), byController(pod, options)]
  const kept = fates.find((fate) => fate.action !== 'evict')
  return kept ?? fates.findLast((fate) => fate.note !== undefined) ?? { action: 'evict' }
}

const evict: Fate = { action: 'evict' }

function byDaemonSet(pod: Pod, options: DrainOptions): Fate {
  const controller = controllerOf(pod)
  if (controller?.kind !== 'DaemonSet' || controller.apiVersion !== 'apps/v1' || isFinished(pod)) return evict
  const name = `${pod.metadata.namespace}/${controller.name}`
  if (options.daemonSets.has(name)) return { action: 'leave', note: `DaemonSet ${name} would start it again here` }
  return options.force
    ? { action: 'evict', note: `its DaemonSet ${name} is gone` }
    : { action: 'refuse', note: `its DaemonSet ${name} is gone, so nothing would bring it back` }
}

function byMirror(pod: Pod): Fate {
  return isMirrorPod(pod) ? { action: 'leave', note: 'a static pod; only its kubelet can stop it' } : evict
}

function byLocalData(pod: Pod, options: DrainOptions): Fate {
  const hasLocalData = pod.spec.volumes?.some((volume) => volume.emptyDir !== undefined) ?? false
  if (!hasLocalData || isFinished(pod)) return evict
  return options.deleteEmptyDirData
    ? { action: 'evict', note: 'its emptyDir data is deleted' }
    : { action: 'refuse', note: 'it has emptyDir data that would be deleted' }
}

function byController(pod: Pod, options: DrainOptions): Fate {
  if (isFinished(pod) || controllerOf(pod)) return evict
  return options.force
    ? { action: 'evict', note: 'no controller will bring it back' }
    : { action: 'refuse', note: `no controller would bring Pod ${fullName(pod)} back` }
}
