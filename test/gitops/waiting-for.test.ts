import test from 'ava'
import { argoCdIsSynced } from '../../lib/gitops/resume-argocd.ts'
import { fluxIsReady } from '../../lib/gitops/resume-flux.ts'
import { waitingFor } from '../../lib/gitops/waiting-for.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const kustomizations = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations'
const applications = '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications'

let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await installDefinitions(api, ['flux.yaml', 'argocd.yaml'])
  for (const name of ['flux-system', 'argocd', 'hybrid-llm']) {
    await api.create('/api/v1/namespaces', { metadata: { name } })
  }
  await kustomization('apps', undefined, 'False')
  await kustomization('llm', 'apps', 'False')
  await kustomization('media', undefined, 'True')
  await deployment('vllm', { labels: appliedBy('llm') })
  await deployment('webui', {
    annotations: { 'argocd.argoproj.io/tracking-id': 'llm-ui:apps/Deployment:hybrid-llm/webui' },
  })
  await deployment('by-hand', {})
  await api.create(applications, {
    ...{ apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', metadata: { name: 'llm-ui' } },
    spec: { project: 'default', destination: {}, syncPolicy: { automated: {} } },
    status: { sync: { status: 'OutOfSync' } },
  })
})

test.after.always(() => cluster?.stop())

const appliedBy = (name: string) => ({
  'kustomize.toolkit.fluxcd.io/name': name,
  'kustomize.toolkit.fluxcd.io/namespace': 'flux-system',
})

async function kustomization(name: string, parent: string | undefined, status: 'True' | 'False') {
  await api.create(kustomizations, {
    ...{ apiVersion: 'kustomize.toolkit.fluxcd.io/v1', kind: 'Kustomization' },
    metadata: { name, ...(parent === undefined ? {} : { labels: appliedBy(parent) }) },
    spec: { interval: '10m', prune: true, wait: true, sourceRef: { kind: 'GitRepository', name: 'homelab' } },
  })
  const ready = {
    type: 'Ready',
    status,
    reason: 'Test',
    message: 'as told',
    lastTransitionTime: '2025-01-01T00:00:00Z',
  }
  await api.mergePatch(`${kustomizations}/${name}/status`, { status: { conditions: [ready] } })
}

async function deployment(name: string, metadata: object) {
  const labels = { app: name }
  await api.create('/apis/apps/v1/namespaces/hybrid-llm/deployments', {
    metadata: { name, ...metadata },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name, image: name }] } },
    },
  })
}

const offloaded = [
  'Deployment hybrid-llm/vllm',
  'Deployment hybrid-llm/webui',
  'Deployment hybrid-llm/by-hand',
  'Job a/b',
]

test.serial('who holds a workload cannot be ready before it, nor can the parents of that one', async (t) => {
  const { migration, lines } = testMigration()
  const waiting = await waitingFor(migration, api, offloaded)
  const all = ['Application argocd/llm-ui', 'Kustomization flux-system/apps', 'Kustomization flux-system/llm']
  t.deepEqual([...waiting].sort(), all)
  t.true(lines.some((line) => line.includes(all.join(', '))))
  const nobody = testMigration()
  t.is((await waitingFor(nobody.migration, api, [])).size, 0)
  t.is((await waitingFor(nobody.migration, api, ['Deployment hybrid-llm/by-hand', 'Deployment gone/gone'])).size, 0)
  t.deepEqual(nobody.lines, [])
})

test.serial('Flux and Argo CD are not waited for where that would be in vain', async (t) => {
  const { migration, lines } = testMigration()
  const later = await waitingFor(migration, api, offloaded)
  t.deepEqual(await argoCdIsSynced(migration, api, later), [])
  t.deepEqual(await fluxIsReady(migration, api, later), [])
  t.false(lines.some((line) => line.startsWith('warn') || line.startsWith('table')))
  // What is ready, or left out, is not even asked to reconcile.
  for (const name of ['apps', 'llm']) {
    const { metadata } = await api.get(`${kustomizations}/${name}`)
    t.is(metadata.annotations?.['reconcile.fluxcd.io/requestedAt'], undefined)
  }
})
