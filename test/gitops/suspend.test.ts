import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import { resumeArgoCd } from '../../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../../lib/gitops/resume-flux.ts'
import { suspendArgoCd } from '../../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../../lib/gitops/suspend-flux.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { type BareCluster, installDefinitions, startBareCluster, until } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

const flux = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations'
const git = '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories'
const argo = '/apis/argoproj.io/v1alpha1/namespaces/argocd'

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})

test.after.always(() => cluster?.stop())

async function kustomization(name: string, parent: string | null, spec: Record<string, unknown> = {}) {
  const marks = {
    'kustomize.toolkit.fluxcd.io/name': parent ?? '',
    'kustomize.toolkit.fluxcd.io/namespace': 'flux-system',
  }
  const body = {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name, ...(parent ? { labels: marks } : {}) },
    spec: {
      interval: '10m',
      prune: true,
      path: './',
      sourceRef: { kind: 'GitRepository', name: 'flux-system' },
      ...spec,
    },
  }
  await api.create(flux, body)
}

async function application(name: string, syncPolicy: unknown, metadata: Record<string, unknown> = {}) {
  const body = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name, ...metadata },
    spec: { project: 'default', destination: {}, ...(syncPolicy === undefined ? {} : { syncPolicy }) },
  }
  await api.create(`${argo}/applications`, body)
}

async function specs(path: string): Promise<Record<string, unknown>> {
  return Object.fromEntries((await api.list(path)).map((object) => [object.metadata.name, object.spec]))
}

test.serial('without Flux and Argo CD, one sentence is said and nothing is done', async (t) => {
  const { migration, lines, journal } = testMigration()
  t.false((await suspendFlux(migration, api)).installed)
  t.false((await suspendArgoCd(migration, api)).installed)
  t.deepEqual(lines.filter((line) => line.startsWith('info')).length, 2)
  t.deepEqual(journal.changes(), [])
})

test.serial('Flux is suspended parents first, and comes back as it was, suspended ones included', async (t) => {
  await installDefinitions(api, ['flux.yaml'])
  await api.create('/api/v1/namespaces', { metadata: { name: 'flux-system' } })
  await kustomization('a-leaf', 'm-middle')
  await kustomization('m-middle', 'z-root', { suspend: false })
  await kustomization('z-root', 'z-root')
  await kustomization('off', 'z-root', { suspend: true })
  const source = { apiVersion: 'source.toolkit.fluxcd.io/v1', kind: 'GitRepository', metadata: { name: 'flux-system' } }
  await api.create(git, { ...source, spec: { interval: '1m', url: 'ssh://git@example.invalid/x' } })
  // As controllers leave it, so that resume has nothing to wait for.
  const before = { ...(await specs(flux)), ...(await specs(git)) }
  const { migration, journal } = testMigration()

  const done = await suspendFlux(migration, api)
  t.deepEqual(done.alreadySuspended, ['Kustomization flux-system/off'])
  const order = journal.changes({ kind: 'flux-suspend' }).map((change) => change.what.split('/')[1])
  t.deepEqual(order, ['z-root', 'm-middle', 'a-leaf', 'flux-system'])
  for (const spec of Object.values(await specs(flux))) t.true((spec as { suspend?: boolean }).suspend)

  await api.mergePatch(`${git}/flux-system/status`, { status: ready }).catch(() => undefined)
  await resumeFlux(migration, api)
  t.deepEqual({ ...(await specs(flux)), ...(await specs(git)) }, before)
  const resumed = journal.records.flatMap((record) =>
    record.type === 'outcome' && record.state === 'undone' ? [record.id] : [],
  )
  const named = new Map(journal.changes().map((change) => [change.id, change.what.split('/')[1]]))
  t.deepEqual(
    resumed.slice(0, 4).map((id) => named.get(id)),
    ['flux-system', 'a-leaf', 'm-middle', 'z-root'],
  )
})

const ready = {
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Succeeded',
      message: 'fetched',
      lastTransitionTime: '2025-01-01T00:00:00Z',
    },
  ],
}

test.serial('what a parent un-suspends while it finishes its apply is suspended again', async (t) => {
  const { migration } = testMigration()
  const suspended = suspendFlux(migration, api)
  const leaf = `${flux}/a-leaf`
  const isSuspended = async () => ((await api.get(leaf)).spec as { suspend?: boolean }).suspend === true
  while (!(await isSuspended())) await new Promise((resolve) => setTimeout(resolve, 20))
  await api.mergePatch(leaf, { spec: { suspend: false } })
  await suspended
  t.true(await isSuspended())
})

test.serial('sync policies come back exactly as they were, whatever they were', async (t) => {
  await installDefinitions(api, ['argocd.yaml'])
  await api.create('/api/v1/namespaces', { metadata: { name: 'argocd' } })
  await application('healing', { automated: { prune: true, selfHeal: true }, syncOptions: ['CreateNamespace=true'] })
  await application('bare', { automated: {} })
  await application('explicit', { automated: { enabled: true } })
  await application('off', { automated: { enabled: false, prune: true } })
  await application('manual', { syncOptions: ['Validate=false'] })
  await application('none', undefined)
  const set = { generators: [], template: { metadata: { name: 'x' }, spec: { project: 'default', destination: {} } } }
  await api.create(`${argo}/applicationsets`, {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'ApplicationSet',
    metadata: { name: 'media' },
    spec: set,
  })
  const all = async () => ({ ...(await specs(`${argo}/applications`)), ...(await specs(`${argo}/applicationsets`)) })
  const before = await all()
  const { migration } = testMigration()

  const done = await suspendArgoCd(migration, api)
  t.deepEqual(done.suspended.sort(), [
    'Application argocd/bare',
    'Application argocd/explicit',
    'Application argocd/healing',
    'ApplicationSet argocd/media',
  ])
  t.like((await all()).healing, { syncPolicy: { automated: { prune: true, selfHeal: true, enabled: false } } })
  t.like((await all()).media, { syncPolicy: { applicationsSync: 'create-only' } })

  await resumeArgoCd(migration, api)
  t.deepEqual(await all(), before)
})

test.serial('a policy that somebody wrote meanwhile is kept and shown with both values, unless told', async (t) => {
  const before = (await api.get(`${argo}/applications/healing`)).spec
  const { migration, lines, journal } = testMigration()
  await suspendArgoCd(migration, api)
  await api.mergePatch(`${argo}/applications/healing`, { spec: { syncPolicy: { automated: { prune: false } } } })
  await resumeArgoCd(migration, api)
  t.like((await api.get(`${argo}/applications/healing`)).spec, {
    syncPolicy: { automated: { prune: false, enabled: false } },
  })
  t.true(
    lines.some((line) => line.startsWith('warn') && line.includes('"prune":false') && line.includes('"prune":true')),
  )
  const told = testMigration({}, { journal, flags: { 'take-back': true } })
  await resumeArgoCd(told.migration, api)
  t.deepEqual((await api.get(`${argo}/applications/healing`)).spec, before)
})

test.serial('a sync that is in progress, or asked for, is waited for by name, and never cut off', async (t) => {
  await application('busy', { automated: {} })
  const operationState = { operation: {}, startedAt: '2025-12-04T10:00:00Z' }
  const operation = { sync: { revision: 'main' } }
  const path = `${argo}/applications/busy`
  await api.mergePatch(path, { operation, status: { operationState: { ...operationState, phase: 'Running' } } })
  const { migration, lines } = testMigration()
  let ended = false
  const suspended = suspendArgoCd(migration, api).then(() => {
    ended = true
  })
  const told = () => lines.filter((line) => /still syncing: .*busy/.test(line)).length
  await until('the sync is told', async () => told() > 0)
  t.deepEqual((await api.get(path)).operation, operation, 'the sync is left alone')
  await api.mergePatch(path, { operation: null })
  await delay(1500)
  t.false(ended, 'the controller has taken the request up, and syncs')
  await api.mergePatch(path, { status: { operationState: { ...operationState, phase: 'Succeeded' } } })
  await suspended
  await resumeArgoCd(migration, api)
  t.deepEqual((await api.get(path)).spec, { project: 'default', destination: {}, syncPolicy: { automated: {} } })
})

test.serial('whoever writes an Application is suspended before it', async (t) => {
  await application(
    'child',
    { automated: {} },
    { annotations: { 'argocd.argoproj.io/tracking-id': 'root:argoproj.io/Application:argocd/child' } },
  )
  await application('root', { automated: {} })
  const { migration, journal } = testMigration()
  await suspendArgoCd(migration, api)
  const order = journal.changes({ kind: 'argocd-sync' }).map((change) => change.what)
  t.true(order.findIndex((what) => what.endsWith('/root')) < order.findIndex((what) => what.endsWith('/child')))
  await resumeArgoCd(migration, api)
})

test.serial(
  'a server that drops `automated.enabled` gets no `automated` at all, and the whole policy back',
  async (t) => {
    await installDefinitions(api, ['argocd.yaml'], (text) =>
      text.replace('                        enabled: { type: boolean }\n', ''),
    )
    const path = `${argo}/applications/bare`
    await api.mergePatch(path, {
      spec: { syncPolicy: { automated: { prune: true }, syncOptions: ['Validate=false'] } },
    })
    const before = (await api.get(path)).spec
    const { migration } = testMigration()
    await suspendArgoCd(migration, api)
    t.deepEqual(((await api.get(path)).spec as { syncPolicy: unknown }).syncPolicy, { syncOptions: ['Validate=false'] })
    await resumeArgoCd(migration, api)
    t.deepEqual((await api.get(path)).spec, before)
  },
)
