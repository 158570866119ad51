import test from 'ava'
import { fateOf } from '../../lib/kubernetes/drain-filters.ts'
import type { Pod } from '../../lib/kubernetes/kinds.ts'

const options = { force: false, deleteEmptyDirData: true, daemonSets: new Set(['ns/ds']) }
const controlledBy = (apiVersion: string, kind: string, name: string) => ({
  ownerReferences: [{ apiVersion, kind, name, uid: 'u', controller: true }],
})
const replicated = controlledBy('apps/v1', 'ReplicaSet', 'rs')

function pod(metadata: Partial<Pod['metadata']> = {}, rest: { phase?: string; emptyDir?: boolean } = {}): Pod {
  return {
    metadata: { name: 'p', namespace: 'ns', ...metadata },
    spec: rest.emptyDir ? { volumes: [{ name: 'scratch', emptyDir: {} }] } : {},
    status: { phase: rest.phase ?? 'Running' },
  }
}

test('a pod of a ReplicaSet is evicted', (t) => {
  t.is(fateOf(pod(replicated), options).action, 'evict')
})

test('a pod of a DaemonSet is left, for it would be started again', (t) => {
  t.is(fateOf(pod(controlledBy('apps/v1', 'DaemonSet', 'ds')), options).action, 'leave')
})

test('a finished pod of a DaemonSet is removed', (t) => {
  t.is(fateOf(pod(controlledBy('apps/v1', 'DaemonSet', 'ds'), { phase: 'Succeeded' }), options).action, 'evict')
})

test('a pod whose DaemonSet is gone is refused, and evicted with force', (t) => {
  const orphan = pod(controlledBy('apps/v1', 'DaemonSet', 'gone'))
  t.is(fateOf(orphan, options).action, 'refuse')
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

test('a pod with emptyDir data is evicted with a note, and refused when that data is to be kept', (t) => {
  const scratch = pod(replicated, { emptyDir: true })
  t.like(fateOf(scratch, options), { action: 'evict', note: 'its emptyDir data is deleted' })
  t.is(fateOf(scratch, { ...options, deleteEmptyDirData: false }).action, 'refuse')
})

test('a finished pod with emptyDir data is removed even when such data is to be kept', (t) => {
  const done = pod(replicated, { emptyDir: true, phase: 'Failed' })
  t.is(fateOf(done, { ...options, deleteEmptyDirData: false }).action, 'evict')
})

test('a pod that nothing controls is refused, and evicted with force', (t) => {
  t.is(fateOf(pod(), options).action, 'refuse')
  t.like(fateOf(pod(), { ...options, force: true }), { action: 'evict', note: 'no controller will bring it back' })
})

test('a finished pod that nothing controls is removed', (t) => {
  t.is(fateOf(pod({}, { phase: 'Succeeded' }), options).action, 'evict')
})

test('an owner that does not control counts as none', (t) => {
  const owned = pod({ ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'c', uid: 'u' }] })
  t.is(fateOf(owned, options).action, 'refuse')
})
