import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { controllerOf, fullName, type Node, type PersistentVolume, type Pod, selects } from './kinds.ts'
import { describeOperated, type Operated } from './operators.ts'
import { isFinished, listPods } from './pods.ts'
import { describeWorkload, listScalable, type ScalableWorkload, type StatefulWorkload } from './workloads.ts'

/** Who makes a pod: a workload, or a custom resource that makes its pods (or their StatefulSet) itself. */
type Maker = Pick<ScalableWorkload, 'uid' | 'namespace'>

/**
 * Waits until workloads have no pod left, and scales back to 0 what somebody (an operator) has scaled up meanwhile.
 * @param stopped custom resources whose operators end the pods
 */
export async function podsAreGone(
  migration: Migration,
  api: KubernetesApi,
  workloads: readonly StatefulWorkload[],
  stopped: readonly Operated[],
  scaleAgain: (workload: StatefulWorkload) => Promise<void>,
): Promise<void> {
  await migration.wait({
    name: 'the pods of the scaled down workloads are gone',
    timeoutSeconds: migration.settings.drainTimeout,
    everyMs: 1000,
    hint: whatHoldsThem(workloads, stopped),
    probe: async () => {
      const [pods, present] = await Promise.all([listPods(api), listScalable(api)])
      const scaledBack = migration.dryRun ? [] : awakeAgain(workloads, present)
      for (const workload of scaledBack) await scaleAgain(workload)
      if (scaledBack.length > 0)
        return { met: false, saw: `scaled back by somebody: ${scaledBack.map(describeWorkload).join(', ')}` }
      const left = podsOf(pods, workloads, [...stopped, ...madeBy(stopped, present)])
      return left.length === 0
        ? { met: true, value: undefined }
        : { met: false, saw: `${left.length} pods left: ${left.slice(0, 5).map(describePod).join(', ')}` }
    },
  })
}

/**
 * Waits until volumes are on no node any more. A kubelet lets the API forget a pod only when it has unmounted its
 * volumes; what is attached to the node (CSI) is let go after that.
 * Source: https://kubernetes-csi.github.io/docs/kubernetes-csi-objects.html, NodeStatus.volumesInUse of
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/#NodeStatus
 * @param volumes PersistentVolumes by name; those that a pod still mounts are not waited for
 */
export async function volumesAreReleased(
  migration: Migration,
  api: KubernetesApi,
  volumes: readonly string[],
): Promise<void> {
  if (volumes.length === 0) return
  await migration.wait({
    name: 'the volumes are unmounted and detached',
    timeoutSeconds: migration.settings.drainTimeout,
    everyMs: 1000,
    hint: 'Look at what holds them: kubectl get volumeattachments; kubectl describe node; the logs of the CSI driver. Then run this again.',
    probe: async () => {
      const held = await heldVolumes(api, new Set(volumes))
      return held.length === 0 ? { met: true, value: undefined } : { met: false, saw: held.slice(0, 5).join(', ') }
    },
  })
}

interface VolumeAttachment {
  metadata: { name: string }
  spec: { nodeName: string; source: { persistentVolumeName?: string } }
  status?: { attached?: boolean; detachError?: { message?: string } }
}

async function heldVolumes(api: KubernetesApi, wanted: ReadonlySet<string>): Promise<string[]> {
  const [attachments, nodes, volumes, pods] = await Promise.all([
    api.list<VolumeAttachment>('/apis/storage.k8s.io/v1/volumeattachments'),
    api.list<Node>('/api/v1/nodes'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    listPods(api),
  ])
  const shared = new Set(pods.filter((pod) => !isFinished(pod)).flatMap(claimsOf))
  const free = volumes.filter(({ metadata, spec }) => {
    const claim = spec.claimRef ? `${spec.claimRef.namespace}/${spec.claimRef.name}` : ''
    return wanted.has(metadata.name) && !shared.has(claim)
  })
  return free.flatMap((volume) => [...attachedTo(volume, attachments), ...mountedOn(volume, nodes)])
}

function attachedTo({ metadata }: PersistentVolume, attachments: readonly VolumeAttachment[]): string[] {
  return attachments
    .filter(({ spec }) => spec.source.persistentVolumeName === metadata.name)
    .map(({ spec, status }) => {
      const why = status?.detachError?.message
      return `${metadata.name} is attached to ${spec.nodeName}${why ? ` (${why})` : ''}`
    })
}

function mountedOn({ metadata, spec }: PersistentVolume, nodes: readonly Node[]): string[] {
  const { csi } = spec
  if (!csi) return []
  const name = `kubernetes.io/csi/${csi.driver}^${csi.volumeHandle}`
  return nodes
    .filter((node) => node.status?.volumesInUse?.includes(name))
    .map((node) => `${metadata.name} is in use on ${node.metadata.name}`)
}

function claimsOf(pod: Pod): string[] {
  const { namespace, name } = pod.metadata
  return (pod.spec.volumes ?? []).flatMap((volume) => {
    if (volume.persistentVolumeClaim) return `${namespace}/${volume.persistentVolumeClaim.claimName}`
    return volume.ephemeral ? `${namespace}/${name}-${volume.name}` : []
  })
}

function awakeAgain(workloads: readonly StatefulWorkload[], present: readonly ScalableWorkload[]): StatefulWorkload[] {
  const replicas = new Map(present.map((workload) => [workload.path, workload.replicas]))
  return workloads.filter((workload) => (replicas.get(workload.path) ?? 0) > 0)
}

/** What a custom resource makes in turn. */
function madeBy(stopped: readonly Operated[], present: readonly ScalableWorkload[]): ScalableWorkload[] {
  const uids = new Set(stopped.map(({ uid }) => uid))
  return present.filter(({ operatedBy }) => uids.has(operatedBy?.uid ?? ''))
}

function podsOf(pods: readonly Pod[], workloads: readonly StatefulWorkload[], makers: readonly Maker[]): Pod[] {
  const uids = new Set([...workloads, ...makers].map(({ uid }) => uid))
  const bySelector = [...workloads, ...makers.filter((maker): maker is ScalableWorkload => 'object' in maker)]
  return pods.filter((pod) => {
    if (isFinished(pod)) return false
    const controller = controllerOf(pod)
    return uids.has(controller?.uid ?? '') || bySelector.some((workload) => isOfReplicaSetOf(pod, workload))
  })
}

/** A Deployment's pods are controlled by its ReplicaSets, which are named after it. */
function isOfReplicaSetOf(pod: Pod, workload: ScalableWorkload): boolean {
  if (pod.metadata.namespace !== workload.namespace) return false
  const controller = controllerOf(pod)
  if (controller?.kind !== 'ReplicaSet' || !controller.name.startsWith(`${workload.name}-`)) return false
  return selects(workload.object.spec.selector, pod.metadata.labels)
}

function whatHoldsThem(workloads: readonly StatefulWorkload[], stopped: readonly Operated[]): string {
  if (stopped.length > 0) {
    return `The operators of ${stopped.map(describeOperated).join(', ')} are to end their pods: look whether they run, and what their logs say. Then run this again.`
  }
  const owners = workloads.flatMap(({ operatedBy }) => (operatedBy ? `${operatedBy.kind} ${operatedBy.name}` : []))
  return owners.length > 0
    ? `These are made by an operator that may scale them back: ${[...new Set(owners)].join(', ')}. Stop the operator, then run this again.`
    : 'Look at what holds the pods: kubectl describe pod. A pod that cannot end on a dead node: kubectl delete pod --force.'
}

function describePod(pod: Pod): string {
  return `${fullName(pod)}${pod.metadata.deletionTimestamp ? ' (terminating)' : ''}`
}
