import {
  fullName,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type VolumeAttachment,
} from './kinds.ts'
import { claimsOfTemplate } from './workloads.ts'

/** What will keep a pod from ending, or its replacement from starting, whatever its budget says. */
export interface Obstacle {
  readonly subject: string
  readonly reason: string
  readonly wayOut: string
}

/** What obstacles are looked for in. */
export interface Attachments {
  readonly claims: readonly PersistentVolumeClaim[]
  readonly volumes: readonly PersistentVolume[]
  readonly attachments: readonly VolumeAttachment[]
  /** drivers that run on the emptied nodes, as `node/driver`: only these can unmount there */
  readonly drivers: ReadonlySet<string>
}

/** Kubernetes' own finalizer of a Job's pods, which its controller takes off by itself. */
const jobTracking = 'batch.kubernetes.io/job-tracking'

/**
 * Pods with finalizers stay until whoever set them takes them off; volumes that are stuck at a node keep their pods'
 * replacements waiting.
 * Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
 */
export function findObstacles(leaving: readonly Pod[], found: Attachments): Obstacle[] {
  return [
    ...leaving.flatMap(finalizersOf),
    ...leaving.flatMap((pod) => volumesOf(pod, found)),
    ...leftOvers(leaving, found),
  ]
}

function finalizersOf(pod: Pod): Obstacle[] {
  const finalizers = (pod.metadata.finalizers ?? []).filter((name) => name !== jobTracking)
  if (finalizers.length === 0) return []
  const since = pod.metadata.deletionTimestamp
  return [
    {
      subject: `Pod ${fullName(pod)}`,
      reason: `finalizer ${finalizers.join(', ')}${since ? `, deleted since ${since}` : ''}`,
      wayOut: 'is the controller that takes it off running?',
    },
  ]
}

function volumesOf(pod: Pod, found: Attachments): Obstacle[] {
  const node = pod.spec.nodeName ?? ''
  return claimsOfTemplate(pod.spec).flatMap((name) => {
    const claim = found.claims.find((each) => fullName(each) === `${pod.metadata.namespace}/${name}`)
    const volume = found.volumes.find((each) => each.metadata.name === claim?.spec.volumeName)
    if (!claim || !volume) return []
    const subject = `Volume ${fullName(claim)}`
    const attachments = found.attachments.filter((each) => volumeOf(each) === volume.metadata.name)
    return [
      ...attachments.flatMap((each) => stuck(each, subject) ?? []),
      ...missingDriver(volume, node, subject, found),
      ...heldElsewhere(claim, attachments, node, subject),
    ]
  })
}

/** A volume that only its driver can unmount, on a node where the driver is not registered. */
function missingDriver(volume: PersistentVolume, node: string, subject: string, { drivers }: Attachments): Obstacle[] {
  const driver = volume.spec.csi?.driver
  if (driver === undefined || drivers.has(`${node}/${driver}`)) return []
  const wayOut = `bring its DaemonSet back on ${node}`
  return [{ subject, reason: `driver ${driver} does not run on ${node}, so nobody can unmount it`, wayOut }]
}

function heldElsewhere(
  claim: PersistentVolumeClaim,
  attachments: readonly VolumeAttachment[],
  node: string,
  subject: string,
): Obstacle[] {
  const modes = claim.spec.accessModes ?? []
  const shared = modes.includes('ReadWriteMany') || modes.includes('ReadOnlyMany')
  const elsewhere = attachments.filter((each) => each.spec.nodeName !== node && each.status?.attached === true)
  if (shared || elsewhere.length === 0) return []
  const nodes = elsewhere.map((each) => each.spec.nodeName).join(', ')
  const wayOut = 'end the pod that uses it there; else its replacement waits for it'
  return [{ subject, reason: `${modes.join(', ')}, and attached to ${nodes} too`, wayOut }]
}

function stuck({ metadata, spec, status }: VolumeAttachment, subject: string): Obstacle | null {
  const wayOut = `is ${spec.attacher} running? kubectl describe volumeattachment ${metadata.name}`
  const error = status?.detachError?.message ?? status?.attachError?.message
  if (metadata.deletionTimestamp) {
    const finalizers = metadata.finalizers?.join(', ')
    const held = finalizers ? `, held by ${finalizers}` : ''
    const reason = `it has been detaching from ${spec.nodeName} since ${metadata.deletionTimestamp}${held}${error ? `: ${error}` : ''}`
    return { subject, reason, wayOut }
  }
  return error ? { subject, reason: `${spec.nodeName}: ${error}`, wayOut } : null
}

/** Attachments that are stuck at an emptied node although no pod there uses them. */
function leftOvers(leaving: readonly Pod[], found: Attachments): Obstacle[] {
  const nodes = new Set(leaving.map((pod) => pod.spec.nodeName))
  const claimed = new Set(
    leaving.flatMap((pod) => claimsOfTemplate(pod.spec).map((name) => `${pod.metadata.namespace}/${name}`)),
  )
  const used = new Set(found.claims.filter((each) => claimed.has(fullName(each))).map((each) => each.spec.volumeName))
  return found.attachments
    .filter((each) => nodes.has(each.spec.nodeName) && !used.has(volumeOf(each)))
    .flatMap((each) => stuck(each, `Volume ${volumeOf(each) ?? each.metadata.name}`) ?? [])
}

function volumeOf(attachment: VolumeAttachment): string | undefined {
  return attachment.spec.source.persistentVolumeName
}
