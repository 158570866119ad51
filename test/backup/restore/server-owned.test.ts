import test from 'ava'
import { withoutServerOwned } from '../../../lib/backup/restore/server-owned.ts'
import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'

const entry = (group: string, resource: string) => ({ group, version: 'v1', resource, count: 1 })
const hasStatus = { hasStatus: true }
const strip = (resource: ReturnType<typeof entry>, object: KubernetesObject) =>
  withoutServerOwned(resource, object, hasStatus)

const owned = {
  uid: 'u',
  resourceVersion: '7',
  generation: 3,
  creationTimestamp: '2025-12-04T12:00:00Z',
  managedFields: [{ manager: 'kubectl' }],
  selfLink: '/x',
}

test('of metadata stays what its author wrote, to the letter', (t) => {
  const metadata = {
    name: 'a',
    namespace: 'b',
    labels: { app: 'a' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"a":1}\n' },
    finalizers: ['example.org/keep'],
    ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'o', uid: 'x' }],
  }
  const object = { metadata: { ...metadata, ...owned }, data: { uid: 'mine', status: 'mine' }, status: { phase: 'x' } }
  t.deepEqual(strip(entry('', 'configmaps'), object), { metadata, data: { uid: 'mine', status: 'mine' } })
  t.is(object.metadata.uid, 'u', 'the object that was given is left as it is')
})

test('a status stays where it is a field like any other', (t) => {
  const object = { metadata: { name: 'a' }, status: { phase: 'x' } }
  t.deepEqual(withoutServerOwned(entry('old.example.org', 'relics'), object, { hasStatus: false }), object)
})

test('a volume and its claim lose what bound them, and keep each other by name', (t) => {
  const binding = { 'pv.kubernetes.io/bind-completed': 'yes', 'pv.kubernetes.io/bound-by-controller': 'yes' }
  const claimRef = { kind: 'PersistentVolumeClaim', namespace: 'media', name: 'plex' }
  const volume = {
    metadata: { name: 'v', annotations: binding },
    spec: { claimRef: { ...claimRef, uid: 'u', resourceVersion: '1' } },
  }
  t.deepEqual(strip(entry('', 'persistentvolumes'), volume), { metadata: { name: 'v' }, spec: { claimRef } })
  const claim = { metadata: { name: 'plex', annotations: { ...binding, note: 'x' } }, spec: { volumeName: 'v' } }
  t.deepEqual(strip(entry('', 'persistentvolumeclaims'), claim), {
    metadata: { name: 'plex', annotations: { note: 'x' } },
    spec: { volumeName: 'v' },
  })
})

test('a Job loses the selector that was made of its UID, and keeps one of its own', (t) => {
  const labels = { 'controller-uid': 'u', 'batch.kubernetes.io/controller-uid': 'u', 'job-name': 'j' }
  const job = (manualSelector?: boolean) => ({
    metadata: { name: 'j', labels },
    spec: {
      selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } },
      template: { metadata: { labels }, spec: {} },
      ...(manualSelector ? { manualSelector } : {}),
    },
  })
  t.deepEqual(strip(entry('batch', 'jobs'), job()), {
    metadata: { name: 'j', labels: { 'job-name': 'j' } },
    spec: { template: { metadata: { labels: { 'job-name': 'j' } }, spec: {} } },
  })
  t.deepEqual(strip(entry('batch', 'jobs'), job(true)), job(true))
})

test('a Service keeps its addresses and ports', (t) => {
  const service = {
    metadata: { name: 's' },
    spec: {
      clusterIP: '10.96.0.9',
      clusterIPs: ['10.96.0.9'],
      healthCheckNodePort: 30001,
      ports: [{ nodePort: 30000 }],
    },
  }
  t.deepEqual(strip(entry('', 'services'), service), service)
})

test('a token Secret loses the token of an account that is no more, and another Secret keeps a key of that name', (t) => {
  const annotations = { 'kubernetes.io/service-account.name': 'a', 'kubernetes.io/service-account.uid': 'u' }
  const secret = (type: string) => ({
    metadata: { name: 's', annotations },
    type,
    data: { token: 'x', 'ca.crt': 'y', namespace: 'z', own: 'o' },
  })
  t.deepEqual(strip(entry('', 'secrets'), secret('kubernetes.io/service-account-token')), {
    metadata: { name: 's', annotations: { 'kubernetes.io/service-account.name': 'a' } },
    type: 'kubernetes.io/service-account-token',
    data: { own: 'o' },
  })
  t.deepEqual(strip(entry('', 'secrets'), secret('Opaque')), secret('Opaque'))
})

test('a pod may run on another node', (t) => {
  const pod = {
    metadata: { name: 'p' },
    spec: { nodeName: 'old', priority: 0, preemptionPolicy: 'PreemptLowerPriority', containers: [] },
  }
  t.deepEqual(strip(entry('', 'pods'), pod), { metadata: { name: 'p' }, spec: { containers: [] } })
})
