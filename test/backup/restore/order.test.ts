import test from 'ava'
import { isNeverRestored, leftToCluster } from '../../../lib/backup/restore/generated.ts'
import { comesLast, inOrder, isNeededByWorkloads } from '../../../lib/backup/restore/order.ts'
import { resourceName } from '../../../lib/backup/restore/source.ts'
import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'

const entryOf = (name: string) => {
  const [resource = '', ...group] = name.split('.')
  return { group: group.join('.'), version: 'v1', resource, count: 1 }
}

test('nothing comes before what it needs', (t) => {
  const ordered = [
    'customresourcedefinitions.apiextensions.k8s.io',
    'namespaces',
    'storageclasses.storage.k8s.io',
    'persistentvolumes',
    'persistentvolumeclaims',
    'serviceaccounts',
    'secrets',
    'configmaps',
    'roles.rbac.authorization.k8s.io',
    'services',
    'deployments.apps',
    'resourcequotas',
    'applications.argoproj.io',
    'kustomizations.kustomize.toolkit.fluxcd.io',
    'apiservices.apiregistration.k8s.io',
    'validatingwebhookconfigurations.admissionregistration.k8s.io',
  ]
  t.deepEqual(inOrder(ordered.map(entryOf).reverse()).map(resourceName), ordered)
})

test('claims and Secrets do not wait for owners that come later; workloads and custom resources do; webhooks come last', (t) => {
  t.true(isNeededByWorkloads(entryOf('persistentvolumeclaims')))
  t.true(isNeededByWorkloads(entryOf('secrets')))
  t.false(isNeededByWorkloads(entryOf('statefulsets.apps')))
  t.false(isNeededByWorkloads(entryOf('applications.argoproj.io')))
  t.true(comesLast(entryOf('mutatingwebhookconfigurations.admissionregistration.k8s.io')))
  t.false(comesLast(entryOf('applications.argoproj.io')))
})

for (const name of [
  'events',
  'leases.coordination.k8s.io',
  'nodes',
  'pods.metrics.k8s.io',
  'controllerrevisions.apps',
]) {
  test(`${name} are never restored`, (t) => t.true(isNeverRestored(entryOf(name))))
}

const left: [string, Partial<KubernetesObject>, boolean][] = [
  ['configmaps', { metadata: { name: 'kube-root-ca.crt', namespace: 'media' } }, true],
  ['configmaps', { metadata: { name: 'kube-root-ca', namespace: 'media' } }, false],
  ['pods', { metadata: { name: 'p', annotations: { 'kubernetes.io/config.mirror': 'x' } } }, true],
  ['pods', { status: { phase: 'Succeeded' } }, true],
  ['pods', { status: { phase: 'Running' } }, false],
  ['jobs.batch', { status: { conditions: [{ type: 'Complete', status: 'True' }] } }, true],
  ['jobs.batch', { status: { conditions: [{ type: 'Suspended', status: 'True' }] } }, false],
  ['services', { metadata: { name: 'kubernetes', namespace: 'default' } }, true],
  ['services', { metadata: { name: 'kubernetes', namespace: 'media' } }, false],
  [
    'endpointslices.discovery.k8s.io',
    {
      metadata: { name: 'e', labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' } },
    },
    true,
  ],
  [
    'endpointslices.discovery.k8s.io',
    { metadata: { name: 'e', labels: { 'endpointslice.kubernetes.io/managed-by': 'me' } } },
    false,
  ],
  [
    'clusterroles.rbac.authorization.k8s.io',
    { metadata: { name: 'admin', labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } } },
    true,
  ],
  ['secrets', { type: 'bootstrap.kubernetes.io/token' }, true],
  ['secrets', { type: 'Opaque' }, false],
  ['configmaps', { metadata: { name: 'going', deletionTimestamp: '2025-12-04T12:00:00Z' } }, true],
]

for (const [name, object, isLeft] of left) {
  test(`of ${name}, ${JSON.stringify(object)} is ${isLeft ? 'left to the cluster' : 'restored'}`, (t) => {
    t.is(leftToCluster(entryOf(name), { metadata: { name: 'a' }, ...object }) !== undefined, isLeft)
  })
}
