import anyTest, { type TestFn } from 'ava'
import { findLostSuspensions } from '../../lib/gitops/lost-suspensions.ts'
import { resumeArgoCd } from '../../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../../lib/gitops/resume-flux.ts'
import { suspendArgoCd } from '../../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../../lib/gitops/suspend-flux.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { findCronJobs, resumeCronJobs, suspendCronJobs } from '../../lib/kubernetes/cronjobs.ts'
import { findLostQuiet } from '../../lib/kubernetes/lost-quiet.ts'
import { cordon, uncordon } from '../../lib/kubernetes/nodes.ts'
import { findOperated, pauseOperators, resumeOperators } from '../../lib/kubernetes/operators.ts'
import { quietWorkloads } from '../../lib/kubernetes/quiet.ts'
import { scaleBack } from '../../lib/kubernetes/scale.ts'
import { findStateful } from '../../lib/kubernetes/workloads.ts'
import { adoptChanges } from '../../lib/migration/adopt.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { defineKinds } from '../kubernetes/definitions.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const test = anyTest as TestFn
const namespace = 'lost'
const node = 'node-lost'
let cluster: BareCluster
let api: KubernetesApi
let backup: Map<string, KubernetesObject[]>
let before: string[]

const at = {
  '/deployments': `/apis/apps/v1/namespaces/${namespace}/deployments`,
  '/statefulsets': `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
  '/cronjobs': `/apis/batch/v1/namespaces/${namespace}/cronjobs`,
  '/kustomizations': `/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/${namespace}/kustomizations`,
  '/applications': `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications`,
  '/prometheuses': `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/prometheuses`,
  '/clusters': `/apis/postgresql.cnpg.io/v1/namespaces/${namespace}/clusters`,
  '/scaledobjects': `/apis/keda.sh/v1/namespaces/${namespace}/scaledobjects`,
}
const labels = { app: 'x' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
const scaled = (replicas: number) => ({ replicas, selector: { matchLabels: labels }, template })

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await installDefinitions(api, ['flux.yaml', 'argocd.yaml', 'prometheus-operator.yaml'])
  await defineKinds(api, [
    { group: 'postgresql.cnpg.io', plural: 'clusters', kind: 'Cluster' },
    { group: 'keda.sh', plural: 'scaledobjects', kind: 'ScaledObject' },
  ])
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  await api.create('/api/v1/nodes', { metadata: { name: node } })
  await fill()
  before = await everything()
  backup = await backedUp()
})

test.after.always(() => cluster?.stop())

async function fill() {
  await create('/deployments', 'app', scaled(3))
  await create('/deployments', 'asleep', scaled(0))
  await create('/deployments', 'chosen-since', scaled(2))
  await create('/statefulsets', 'db', { ...scaled(2), serviceName: 'db' })
  const job = { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } }
  await create('/cronjobs', 'nightly', { schedule: '0 4 * * *', jobTemplate: job })
  await create('/cronjobs', 'off', { schedule: '0 4 * * *', jobTemplate: job, suspend: true })
  const source = { interval: '1m', prune: true, path: './', sourceRef: { kind: 'GitRepository', name: 'x' } }
  await create('/kustomizations', 'apps', source, 'Kustomization')
  await create('/kustomizations', 'off', { ...source, suspend: true }, 'Kustomization')
  const application = { project: 'p', destination: {} }
  const automated = { automated: { prune: true, selfHeal: true } }
  await create('/applications', 'plex', { ...application, syncPolicy: automated }, 'Application')
  await create('/applications', 'manual', application, 'Application')
  await create('/prometheuses', 'main', { replicas: 1 }, 'Prometheus')
  await create('/clusters', 'pg', { instances: 1 }, 'Cluster')
  await create('/scaledobjects', 'app', { scaleTargetRef: { name: 'app' } }, 'ScaledObject')
}

async function create(kind: keyof typeof at, name: string, spec: unknown, named?: string) {
  const [, , group, version] = at[kind].split('/')
  await api.create(at[kind], {
    ...(named ? { apiVersion: `${group}/${version}`, kind: named } : {}),
    metadata: { name },
    spec,
  })
}

async function everything(): Promise<string[]> {
  const lists = await Promise.all(Object.values(at).map((path) => api.list(path)))
  const objects = lists.flat().map(({ kind, spec, metadata: { name, annotations } }) => [kind, name, annotations, spec])
  return [...objects, (await api.get(`/api/v1/nodes/${node}`)).spec].map((each) => JSON.stringify(each))
}

async function backedUp(): Promise<Map<string, KubernetesObject[]>> {
  const lists = Object.entries(at).map(async ([kind, path]) => [kind, await api.list(path)] as const)
  return new Map([...(await Promise.all(lists)), ['/nodes', await api.list('/api/v1/nodes')]])
}

const inBackup = async (_group: string, resource: string) => backup.get(`/${resource}`) ?? []
const lostChanges = async () => [
  ...(await findLostSuspensions(api, inBackup)),
  ...(await findLostQuiet(api, inBackup, node)),
]
const settings = { STATEFUL_NAMESPACES: namespace, LOCAL_STORAGE_CLASSES: 'none', NFS_STORAGE_CLASSES: 'none' }

async function drain(migration: Migration) {
  await suspendFlux(migration, api)
  await suspendArgoCd(migration, api)
  await pauseOperators(migration, api, await findOperated(api))
  await suspendCronJobs(migration, api, await findCronJobs(api, migration.settings))
  await quietWorkloads(migration, api, await findStateful(api, migration.settings))
  await cordon(migration, api, node)
}

test.serial('in a cluster that was not drained, a backup has nothing to bring back', async (t) => {
  t.deepEqual(await lostChanges(), [])
})

test.serial('what is found without the journal is what the journal holds, in the order of the drain', async (t) => {
  const { migration, journal } = testMigration(settings)
  await drain(migration)
  const found = await lostChanges()
  const held = journal.changes()
  t.deepEqual(found.map(({ what }) => what).sort(), held.map(({ what }) => what).sort())
  for (const { what, undo } of found) {
    const theirs = held.find((change) => change.what === what)?.undo
    // Their order is another matter: it is the one of QUIET_ORDER at that time.
    t.deepEqual({ ...undo, stage: null }, { ...theirs, stage: null }, what)
  }
})

test.serial('a resume from it brings all back, and leaves alone what somebody has decided since', async (t) => {
  await api.mergePatch(`${at['/deployments']}/chosen-since`, { spec: { replicas: 5 } })
  const { migration, journal, lines } = testMigration(settings)
  adoptChanges(migration, await lostChanges())
  const count = journal.changes().length
  adoptChanges(migration, await lostChanges())
  t.is(journal.changes().length, count, 'what is in the journal is not entered twice')

  await uncordon(migration, api)
  await scaleBack(migration, api)
  await resumeCronJobs(migration, api)
  await resumeOperators(migration, api)
  await resumeArgoCd(migration, api)
  await resumeFlux(migration, api)
  t.like(await api.get(`${at['/deployments']}/chosen-since`), { spec: { replicas: 5 } })
  await api.mergePatch(`${at['/deployments']}/chosen-since`, { spec: { replicas: 2 } })
  t.deepEqual(await everything(), before)
  t.deepEqual(
    lines.filter((line) => line.startsWith('warn')),
    [],
  )
  t.deepEqual(await lostChanges(), [])
})
