import test from 'ava'
import type { ClusterObject } from '../../lib/gitops/holders.ts'
import { applied, installed, object, rebuildOf } from './objects.ts'

const self = applied('flux-system/flux-system')
const template = (image: string) => ({ spec: { template: { spec: { containers: [{ image }] } } } })
const sourceRef = { kind: 'GitRepository', name: 'flux-system' }

const flux: ClusterObject[] = [
  object('Namespace', 'flux-system', { metadata: self }),
  object('Deployment', 'flux-system/kustomize-controller', {
    ...template('ghcr.io/fluxcd/kustomize-controller:v1.6.1'),
    metadata: self,
  }),
  object('ServiceAccount', 'flux-system/kustomize-controller', { metadata: self }),
  object('ClusterRoleBinding', 'cluster-reconciler', {
    subjects: [{ kind: 'ServiceAccount', namespace: 'flux-system', name: 'kustomize-controller' }],
    roleRef: { name: 'crd-controller' },
    metadata: self,
  }),
  object('ClusterRole', 'crd-controller', { metadata: self }),
  object('ClusterRole', 'homepage', { metadata: self }),
  object('CustomResourceDefinition', 'kustomizations.kustomize.toolkit.fluxcd.io', {
    spec: { group: 'kustomize.toolkit.fluxcd.io' },
    metadata: self,
  }),
  object('GitRepository', 'flux-system/flux-system', { spec: {}, metadata: self }),
  object('GitRepository', 'flux-system/other', { spec: {}, metadata: self }),
  object('Kustomization', 'flux-system/flux-system', { spec: { sourceRef }, metadata: self }),
  object('Kustomization', 'flux-system/apps', { spec: { sourceRef }, metadata: self }),
]

const argoController = (metadata: ClusterObject['object']['metadata'] | object) =>
  object('StatefulSet', 'argocd/argocd-application-controller', {
    ...template('quay.io/argoproj/argocd:v3.1.5'),
    metadata,
  })

async function engineOf(...objects: ClusterObject[]): Promise<string[]> {
  return (await rebuildOf(...objects)).restored.filter(({ engine }) => engine).map(({ called }) => called)
}

test('Flux itself is what no Flux could bring: its namespace, controllers, rights, definitions, and the root with its source', async (t) => {
  t.deepEqual(await engineOf(...flux), [
    'clusterrolebindings.rbac.authorization.k8s.io cluster-reconciler',
    'clusterroles.rbac.authorization.k8s.io crd-controller',
    'customresourcedefinitions.apiextensions.k8s.io kustomizations.kustomize.toolkit.fluxcd.io',
    'deployments.apps flux-system/kustomize-controller',
    'gitrepositories.source.toolkit.fluxcd.io flux-system/flux-system',
    'kustomizations.kustomize.toolkit.fluxcd.io flux-system/flux-system',
    'namespaces flux-system',
    'serviceaccounts flux-system/kustomize-controller',
  ])
  const { controllers } = await rebuildOf(...flux)
  t.deepEqual(controllers, [{ resource: 'deployments.apps', namespace: 'flux-system', name: 'kustomize-controller' }])
})

test('the key of Flux comes before Flux', async (t) => {
  const { restored } = await rebuildOf(...flux, object('Secret', 'flux-system/flux-system'))
  t.false(restored.find(({ called }) => called === 'secrets flux-system/flux-system')?.engine)
})

test('Argo CD comes out of Git when Flux holds it, and is restored when it holds itself', async (t) => {
  const release = object('HelmRelease', 'argocd/argocd', { spec: {}, metadata: applied('flux-system/apps') })
  const byFlux = argoController(installed('argocd/argocd'))
  t.false((await engineOf(...flux, release, byFlux)).some((name) => name.includes('argocd')))

  const tracked = {
    annotations: { 'argocd.argoproj.io/tracking-id': 'argocd:apps/StatefulSet:argocd/argocd-application-controller' },
  }
  const own = { annotations: { 'argocd.argoproj.io/tracking-id': 'argocd:argoproj.io/Application:argocd/argocd' } }
  const itself = object('Application', 'argocd/argocd', { spec: { syncPolicy: { automated: {} } }, metadata: own })
  t.deepEqual(await engineOf(argoController(tracked), itself), [
    'applications.argoproj.io argocd/argocd',
    'statefulsets.apps argocd/argocd-application-controller',
  ])
})

test('a Deployment that is only called as a controller of Flux is none', async (t) => {
  const other = object('Deployment', 'media/source-controller', { ...template('media/tuner:1'), metadata: self })
  t.deepEqual((await rebuildOf(...flux, other)).controllers.length, 1)
})
