import test from 'ava'
import type { PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment } from '../../lib/kubernetes/kinds.ts'
import { type Attachments, findObstacles } from '../../lib/kubernetes/obstacles.ts'

function pod(metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    metadata: { name: 'db-0', namespace: 'ns', ...metadata },
    spec: { nodeName: 'talos00', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
    status: { phase: 'Running' },
  }
}

const claim: PersistentVolumeClaim = {
  metadata: { name: 'data', namespace: 'ns' },
  spec: { volumeName: 'pvc-1', accessModes: ['ReadWriteOnce'] },
}
const volume: PersistentVolume = {
  metadata: { name: 'pvc-1' },
  spec: { csi: { driver: 'san.example', volumeHandle: '1' } },
}

function attachment(
  metadata: Partial<VolumeAttachment['metadata']> = {},
  status: VolumeAttachment['status'] = { attached: true },
  nodeName = 'talos00',
): VolumeAttachment {
  const spec = { attacher: 'san.example', nodeName, source: { persistentVolumeName: 'pvc-1' } }
  return { metadata: { name: 'csi-1', ...metadata }, spec, ...(status ? { status } : {}) }
}

function found(more: Partial<Attachments> = {}): Attachments {
  return {
    claims: [claim],
    volumes: [volume],
    attachments: [attachment()],
    drivers: new Set(['talos00/san.example']),
    ...more,
  }
}

test('a volume that is attached here by a driver that runs is no obstacle', (t) => {
  t.deepEqual(findObstacles([pod()], found()), [])
})

test('a pod with a finalizer is named with it; the one by which Jobs are counted goes by itself', (t) => {
  const [obstacle, ...rest] = findObstacles([pod({ finalizers: ['backup.example/hold'] })], found())
  t.like(obstacle, { subject: 'Pod ns/db-0', reason: 'finalizer backup.example/hold' })
  t.deepEqual(rest, [])
  t.deepEqual(findObstacles([pod({ finalizers: ['batch.kubernetes.io/job-tracking'] })], found()), [])
})

test('a volume whose detaching does not come to its end is named with its finalizer and its error', (t) => {
  const stuck = attachment(
    { deletionTimestamp: '2026-11-24T12:00:00Z', finalizers: ['external-attacher/san-example'] },
    { attached: true, detachError: { message: 'array is busy' } },
  )
  const [obstacle] = findObstacles([pod()], found({ attachments: [stuck] }))
  t.is(obstacle?.subject, 'Volume ns/data')
  t.regex(obstacle?.reason ?? '', /detaching from talos00 since 2026.*external-attacher\/san-example: array is busy/)
  t.regex(obstacle?.wayOut ?? '', /san\.example running/)
})

test('an attachment with an error is named', (t) => {
  const failing = attachment({}, { attached: false, attachError: { message: 'no path' } })
  t.is(findObstacles([pod()], found({ attachments: [failing] }))[0]?.reason, 'talos00: no path')
})

test('a volume for one node that is attached to another too would keep the replacement waiting', (t) => {
  const both = [attachment(), attachment({ name: 'csi-2' }, { attached: true }, 'worker')]
  const [obstacle] = findObstacles([pod()], found({ attachments: both }))
  t.is(obstacle?.reason, 'ReadWriteOnce, and attached to worker too')
  const shared = { ...claim, spec: { ...claim.spec, accessModes: ['ReadWriteMany'] } }
  t.deepEqual(findObstacles([pod()], found({ attachments: both, claims: [shared] })), [])
})

test('a volume whose driver does not run on the node can be unmounted by nobody', (t) => {
  t.regex(findObstacles([pod()], found({ drivers: new Set() }))[0]?.reason ?? '', /nobody can unmount it/)
})

test('an attachment that is stuck here is named although no pod uses it any more', (t) => {
  const stuck = attachment({ deletionTimestamp: '2026-11-24T12:00:00Z' })
  const other = { ...pod(), spec: { nodeName: 'talos00' } }
  const [obstacle] = findObstacles([other], found({ attachments: [stuck] }))
  t.is(obstacle?.subject, 'Volume pvc-1')
})
