import test from 'ava'
import { type Fate, fateOf } from '../../lib/kubernetes/drain-filters.ts'
import type { Pod, Volume } from '../../lib/kubernetes/kinds.ts'

const now = new Date('2026-11-24T12:00:00Z')
const options = {
  force: false,
  deleteEmptyDirData: false,
  skipWaitSeconds: undefined,
  daemonSets: new Set(['ns/ds']),
  now,
}
const controlledBy = (apiVersion: string, kind: string, name: string) => ({
  ownerReferences: [{ apiVersion, kind, name, uid: 'u', controller: true }],
})
const replicated = controlledBy('apps/v1', 'ReplicaSet', 'rs')
const inMemory: Volume = { name: 'cache', emptyDir: { medium: 'Memory' } }
const scratch: Volume = { name: 'scratch', emptyDir: {} }

function pod(metadata: Partial<Pod['metadata']> = {}, rest: { phase?: string; volumes?: Volume[] } = {}): Pod {
  return {
    metadata: { name: 'p', namespace: 'ns', ...metadata },
    spec: { volumes: rest.volumes ?? [] },
    status: { phase: rest.phase ?? 'Running' },
  }
}

const unless = (fate: Fate) => (fate.action === 'refuse' ? fate.unless : [])

test('a pod of a ReplicaSet is evicted', (t) => {
  t.deepEqual(fateOf(pod(replicated), options), { action: 'evict', notes: [] })
})

test('a pod of a DaemonSet is left, for it would be started again, even with emptyDir data', (t) => {
  const ofDaemonSet = pod(controlledBy('apps/v1', 'DaemonSet', 'ds'), { volumes: [scratch] })
  t.is(fateOf(ofDaemonSet, options).action, 'leave')
})

test('a finished pod of a DaemonSet is removed', (t) => {
  t.is(fateOf(pod(controlledBy('apps/v1', 'DaemonSet', 'ds'), { phase: 'Succeeded' }), options).action, 'evict')
})

test('a pod whose DaemonSet is gone is refused, and evicted with force', (t) => {
  const orphan = pod(controlledBy('apps/v1', 'DaemonSet', 'gone'))
  t.deepEqual(unless(fateOf(orphan, options)), ['--force'])
  t.is(fateOf(orphan, { ...options, force: true }).action, 'evict')
})

test('a DaemonSet of another API group (a custom one) is no DaemonSet', (t) => {
  t.is(fateOf(pod(controlledBy('apps.kruise.io/v1', 'DaemonSet', 'ds')), options).action, 'evict')
})

test('a mirror pod is left, with force too', (t) => {
  const mirror = pod({ annotations: { 'kubernetes.io/config.mirror': 'hash' } })
  t.is(fateOf(mirror, options).action, 'leave')
  t.is(fateOf(mirror, { ...options, force: true }).action, 'leave')
})

test('a pod with emptyDir data is refused, on the disk and in memory, and evicted with a note when told', (t) => {
  for (const volume of [scratch, inMemory]) {
    const withData = pod(replicated, { volumes: [volume] })
    t.deepEqual(unless(fateOf(withData, options)), ['--delete-emptydir-data'])
    const told = fateOf(withData, { ...options, deleteEmptyDirData: true })
    t.is(told.action, 'evict')
    t.regex(told.notes[0] ?? '', /emptyDir data.* is deleted/)
  }
  t.regex(fateOf(pod(replicated, { volumes: [inMemory] }), options).notes[0] ?? '', /in memory/)
})

test('a finished pod with emptyDir data is removed untold', (t) => {
  t.is(fateOf(pod(replicated, { volumes: [scratch], phase: 'Failed' }), options).action, 'evict')
})

test('a pod that nothing controls is refused, and evicted with force', (t) => {
  t.deepEqual(unless(fateOf(pod(), options)), ['--force'])
  t.deepEqual(fateOf(pod(), { ...options, force: true }), {
    action: 'evict',
    notes: ['no controller will bring it back'],
  })
})

test('a pod that is refused for two reasons names both flags at once', (t) => {
  t.deepEqual(unless(fateOf(pod({}, { volumes: [scratch] }), options)), ['--delete-emptydir-data', '--force'])
})

test('a finished pod that nothing controls is removed', (t) => {
  t.is(fateOf(pod({}, { phase: 'Succeeded' }), options).action, 'evict')
})

test('an owner that does not control counts as none', (t) => {
  const owned = pod({ ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'c', uid: 'u' }] })
  t.is(fateOf(owned, options).action, 'refuse')
})

test('a pod whose end is overdue for longer than told is left, whatever it is', (t) => {
  const overdue = pod({ deletionTimestamp: '2026-11-24T11:58:00Z' })
  t.is(fateOf(overdue, options).action, 'refuse')
  t.is(fateOf(overdue, { ...options, skipWaitSeconds: 60 }).action, 'leave')
  t.is(fateOf(overdue, { ...options, skipWaitSeconds: 180 }).action, 'refuse')
})
