import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { fencedOwners } from '../../lib/kubernetes/heeding.ts'
import { operators } from '../../lib/kubernetes/operators/table.ts'
import {
  findOperated,
  operatedFrom,
  pauseAgain,
  pauseOperators,
  resumeOperators,
} from '../../lib/kubernetes/operators.ts'
import { quietWorkloads } from '../../lib/kubernetes/quiet.ts'
import { scaleBack } from '../../lib/kubernetes/scale.ts'
import { findStrangers, stopStrangers } from '../../lib/kubernetes/strangers.ts'
import { findStateful, listScalable } from '../../lib/kubernetes/workloads.ts'
import { type BareCluster, startBareCluster } from './bare-cluster.ts'
import { type Definition, defineKinds } from './definitions.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

const kindOf = (resource: string) => `Kind${resource}`
const custom = operators.filter(({ group }) => group !== 'autoscaling')
// Grafana's operator before 5.18, which knows no suspend.
const old: Definition = {
  group: 'grafana.integreatly.org',
  plural: 'grafanas',
  kind: kindOf('grafanas'),
  properties: { version: { type: 'string' } },
}

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  const rows = custom.flatMap(({ group, resources }) =>
    resources.map((plural) => ({ group, plural, kind: kindOf(plural) })),
  )
  const others = [
    { group: 'stranger.example.com', plural: 'databases', kind: 'Database' },
    { group: 'nobody.example.com', plural: 'orphans', kind: 'Orphan' },
  ]
  await defineKinds(api, [...rows.filter(({ group }) => group !== old.group), old, ...others])
})

test.after.always(() => cluster?.stop())

const labels = { app: 'x' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }

async function resource(group: string, plural: string, kind: string, namespace: string, more: object = {}) {
  const path = `/apis/${group}/v1/namespaces/${namespace}/${plural}`
  const body = { apiVersion: `${group}/v1`, kind, metadata: { name: 'main' }, ...more }
  return { path: `${path}/main`, object: await api.create(path, body) }
}

async function ownedBy(owner: KubernetesObject, namespace: string, replicas = 2, more: object = {}) {
  const { apiVersion, kind, metadata } = owner
  const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }
  const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets`
  await api.create(path, {
    metadata: { name: 'made', ownerReferences: [reference], ...more },
    spec: { replicas, serviceName: 'made', selector: { matchLabels: labels }, template },
  })
  return `${path}/made`
}

async function operator(namespace: string, name: string, group: string, resources: string[]) {
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `${namespace}-${name}` }
  await api.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: role.name },
    rules: [{ apiGroups: [group], resources, verbs: ['get', 'update'] }],
  })
  await api.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: role.name },
    roleRef: role,
    subjects: [{ kind: 'ServiceAccount', namespace, name }],
  })
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
  const spec = { ...template.spec, serviceAccountName: name }
  await api.create(path, {
    metadata: { name },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { ...template, spec } },
  })
  return `${path}/${name}`
}

async function namespaceOf(name: string): Promise<string> {
  await api.create('/api/v1/namespaces', { metadata: { name } })
  return name
}

const replicas = async (path: string) => ((await api.get(path)).spec as { replicas: number }).replicas
/** Only what a person would write: neither versions nor who wrote last. */
const written = async (path: string) => {
  const { metadata, spec } = await api.get(path)
  return JSON.stringify([metadata.labels, metadata.annotations, spec])
}
const settingsOf = (namespace: string) => ({
  STATEFUL_NAMESPACES: namespace,
  LOCAL_STORAGE_CLASSES: 'none',
  NFS_STORAGE_CLASSES: 'none',
})

test.serial(
  'every row that can be paused is, and comes back byte for byte, without a spec and without annotations',
  async (t) => {
    const rows = custom.filter(({ group, pause, scales }) => pause !== null && !scales && group !== old.group)
    const namespace = await namespaceOf('rows')
    const made = []
    for (const { group, resources, pause } of rows) {
      for (const plural of resources)
        made.push({ pause, ...(await resource(group, plural, kindOf(plural), namespace)) })
    }
    const before = await Promise.all(made.map(({ path }) => written(path)))
    const { migration } = testMigration(settingsOf(namespace))

    t.deepEqual(await pauseOperators(migration, api, await findOperated(api)), [])
    await quietWorkloads(migration, api, await findStateful(api, migration.settings))
    for (const { path, pause } of made) {
      const now = (await api.get(path)) as unknown as Record<string, unknown>
      const value = pause?.field.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)?.[name], now)
      t.deepEqual(value, pause?.value, path)
    }

    await scaleBack(migration, api)
    await resumeOperators(migration, api)
    t.deepEqual(await Promise.all(made.map(({ path }) => written(path))), before)
    await Promise.all(made.map(({ path }) => api.remove(path)))
  },
)

test.serial('what was paused before stays so, and what stood beside the field is left alone', async (t) => {
  const namespace = await namespaceOf('beside')
  const on = { metadata: { name: 'main', annotations: { 'cnpg.io/hibernation': 'on' } } }
  const hibernated = await resource('postgresql.cnpg.io', 'clusters', kindOf('clusters'), namespace, on)
  const rabbit = await resource('rabbitmq.com', 'rabbitmqclusters', kindOf('rabbitmqclusters'), namespace)
  const before = await Promise.all([hibernated, rabbit].map(({ path }) => written(path)))
  const { migration, journal } = testMigration(settingsOf(namespace))
  await pauseOperators(migration, api, await findOperated(api))
  await quietWorkloads(migration, api, [])
  t.deepEqual(
    journal.changes().map(({ what }) => what),
    [`Pause ${kindOf('rabbitmqclusters')} ${namespace}/main`],
  )
  await api.mergePatch(rabbit.path, { metadata: { labels: { team: 'queues' } } })
  await resumeOperators(migration, api)
  t.deepEqual((await api.get(rabbit.path)).metadata.labels, { team: 'queues' })
  await api.mergePatch(rabbit.path, { metadata: { labels: null } })
  t.deepEqual(await Promise.all([hibernated, rabbit].map(({ path }) => written(path))), before)
  await Promise.all([hibernated, rabbit].map(({ path }) => api.remove(path)))
})

test.serial(
  "Strimzi's pods are ended by the set that lists them, once their Kafka is paused, and listed again as they were",
  async (t) => {
    const namespace = await namespaceOf('kafka')
    const kafka = await resource('kafka.strimzi.io', 'kafkas', kindOf('kafkas'), namespace)
    const pods = [0, 1].map((index) => ({ metadata: { name: `main-kafka-${index}` }, spec: template.spec }))
    const set = await resource('core.strimzi.io', 'strimzipodsets', kindOf('strimzipodsets'), namespace, {
      spec: { pods },
    })
    const { apiVersion, kind, metadata } = set.object
    const owner = { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }
    const made = await api.create(`/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name: 'main-kafka-0', ownerReferences: [owner] },
      spec: { ...template.spec, nodeName: 'n' },
    })
    const before = await Promise.all([kafka, set].map(({ path }) => written(path)))
    const { migration, lines } = testMigration(settingsOf(namespace))
    await pauseOperators(migration, api, await findOperated(api))
    t.deepEqual((await api.get(kafka.path)).metadata.annotations, { 'strimzi.io/pause-reconciliation': 'true' })
    t.like(await api.get(set.path), { spec: { pods } }, 'the set is told only when its Kafka looks away')

    const quieted = quietWorkloads(migration, api, await findStateful(api, migration.settings))
    const stops = () => lines.some((line) => line.includes('1 pods left: kafka/main-kafka-0'))
    while (!stops()) await new Promise((resolve) => setTimeout(resolve, 50))
    t.like(await api.get(set.path), { spec: { pods: [] } })
    await api.remove(`/api/v1/namespaces/${namespace}/pods/${made.metadata.name}`, { gracePeriodSeconds: 0 })
    await quieted

    await scaleBack(migration, api)
    t.like(await api.get(kafka.path), { metadata: { annotations: { 'strimzi.io/pause-reconciliation': 'true' } } })
    await resumeOperators(migration, api)
    t.deepEqual(await Promise.all([kafka, set].map(({ path }) => written(path))), before)
    await Promise.all([kafka, set].map(({ path }) => api.remove(path)))
  },
)

test.serial(
  'a CNPG cluster whose operator does not know hibernation is fenced instead, and comes back byte for byte',
  async (t) => {
    const namespace = await namespaceOf('fenced')
    const { object, path } = await resource('postgresql.cnpg.io', 'clusters', kindOf('clusters'), namespace)
    const { apiVersion, kind, metadata } = object
    const owner = { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }
    await api.create(`/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name: 'main-1', ownerReferences: [owner] },
      spec: { ...template.spec, nodeName: 'n' },
    })
    const before = await written(path)
    const { migration, journal, lines } = testMigration({ ...settingsOf(namespace), DRAIN_TIMEOUT: '1' })
    for (const time of ['first', 'killed and started again']) {
      await quietWorkloads(migration, api, [])
      t.deepEqual((await api.get(path)).metadata.annotations, { 'cnpg.io/fencedInstances': '["*"]' }, time)
    }
    t.is(journal.changes().filter(({ state }) => state !== 'undone').length, 1)
    t.true(lines.some((line) => /fenced\/main: its operator does not know cnpg\.io\/hibernation/.test(line)))
    t.true((await fencedOwners(api)).has(metadata.uid ?? ''))
    await scaleBack(migration, api)
    t.is(await written(path), before)

    const status = { conditions: [{ type: 'cnpg.io/hibernation', status: 'False', reason: 'WaitingPodsDeletion' }] }
    await api.mergePatch(`${path}/status`, { status })
    const heeding = testMigration({ ...settingsOf(namespace), DRAIN_TIMEOUT: '1' })
    const error = await t.throwsAsync(quietWorkloads(heeding.migration, api, []))
    t.regex(error.message, /pods of the scaled down workloads are gone/, 'one that has begun is waited for')
    t.deepEqual((await api.get(path)).metadata.annotations, { 'cnpg.io/hibernation': 'on' })
    await scaleBack(heeding.migration, api)
    await api.remove(path)
  },
)

test.serial('a database that its operator stops is not scaled by us, and its pods are waited for', async (t) => {
  const namespace = await namespaceOf('stopped')
  const { object, path } = await resource(
    'clickhouse.altinity.com',
    'clickhouseinstallations',
    kindOf('clickhouseinstallations'),
    namespace,
  )
  const made = await ownedBy(object, namespace)
  const { uid = '' } = (await api.get(made)).metadata
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'made', uid, controller: true }
  const pods = `/api/v1/namespaces/${namespace}/pods`
  await api.create(pods, {
    metadata: { name: 'made-0', labels, ownerReferences: [owner] },
    spec: { ...template.spec, nodeName: 'n' },
  })
  const { migration, lines } = testMigration(settingsOf(namespace))
  const quieted = quietWorkloads(migration, api, await findStateful(api, migration.settings))
  const stops = () => lines.some((line) => line.includes('1 pods left: stopped/made-0'))
  while (!stops()) await new Promise((resolve) => setTimeout(resolve, 50))
  t.like(await api.get(path), { spec: { stop: 'yes' } })
  await api.mergePatch(made, { spec: { replicas: 0 } })
  await api.remove(`${pods}/made-0?gracePeriodSeconds=0`)
  await quieted
  await scaleBack(migration, api)
  t.is((await api.get(path)).spec, undefined)
  t.is(await replicas(made), 0, 'its operator brings it back')
  await api.remove(path)
})

test.serial(
  'the operator of an unknown owner is scaled down before its workload, and comes back after it',
  async (t) => {
    const namespace = await namespaceOf('strange')
    const group = 'stranger.example.com'
    const { object } = await resource(group, 'databases', 'Database', namespace)
    const made = await ownedBy(object, namespace)
    const theirs = await operator(namespace, 'database-operator', group, ['databases', 'databases/status'])
    const reader = await operator(namespace, 'dashboard', group, ['databases'])
    const { migration, journal, lines } = testMigration({ ...settingsOf('none'), QUIET_ORDER: '*' })
    const [workload] = (await listScalable(api)).filter(({ path }) => path === made)
    t.truthy(workload)
    const stateful = workload ? [{ ...workload, reason: 'test' }] : []

    t.deepEqual(await stopStrangers(migration, api, await findStrangers(api, stateful)), [
      `Deployment ${namespace}/database-operator`,
    ])
    t.deepEqual([await replicas(theirs), await replicas(reader), await replicas(made)], [0, 1, 2])
    t.true(lines.some((line) => line.startsWith('info') && line.includes('Database (stranger.example.com)')))
    await quietWorkloads(migration, api, stateful)
    t.is(await replicas(made), 0)

    await scaleBack(migration, api)
    t.deepEqual([await replicas(theirs), await replicas(made)], [1, 2])
    const back = journal.records.flatMap((one) => (one.type === 'outcome' && one.state === 'undone' ? one.id : []))
    const named = new Map(journal.changes().map(({ id, what }) => [id, what]))
    t.deepEqual(
      back.map((id) => named.get(id)),
      [`Scale StatefulSet ${namespace}/made to 0`, `Scale Deployment ${namespace}/database-operator to 0`],
    )
  },
)

test.serial('among several that may write the status, the one is meant whom the workload names', async (t) => {
  const namespace = await namespaceOf('several')
  const group = 'stranger.example.com'
  const { object } = await resource(group, 'databases', 'Database', namespace)
  const made = await ownedBy(object, namespace, 1, { labels: { 'app.kubernetes.io/managed-by': 'right-one' } })
  for (const name of ['right-one', 'wrong-one']) await operator(namespace, name, group, ['*'])
  const [found] = await findStrangers(
    api,
    (await listScalable(api)).filter(({ path }) => path === made),
  )
  t.deepEqual(
    found?.operators.map(({ name }) => name),
    ['right-one'],
  )
})

test.serial('an owner whose operator is not found is said plainly', async (t) => {
  const namespace = await namespaceOf('orphaned')
  const { object } = await resource('nobody.example.com', 'orphans', 'Orphan', namespace)
  const made = await ownedBy(object, namespace)
  const { migration, journal, lines } = testMigration()
  const strangers = await findStrangers(
    api,
    (await listScalable(api)).filter(({ path }) => path === made),
  )
  t.deepEqual(await stopStrangers(migration, api, strangers), [])
  t.deepEqual(journal.changes(), [])
  t.true(lines.some((line) => line.startsWith('warn') && /Orphan .*was not found/.test(line)))
})

test.serial('an operator that is too old for its pause is scaled down instead', async (t) => {
  const namespace = await namespaceOf('old')
  const { object } = await resource(old.group, old.plural, old.kind, namespace)
  await ownedBy(object, namespace)
  const theirs = await operator(namespace, 'grafana-operator', old.group, ['grafanas/status'])
  const { migration } = testMigration(settingsOf(namespace))
  const deaf = await pauseOperators(migration, api, await findOperated(api))
  t.deepEqual(
    deaf.map(({ namespace: where }) => where),
    [namespace],
  )
  const strangers = await findStrangers(api, await findStateful(api, migration.settings), deaf)
  t.deepEqual(await stopStrangers(migration, api, strangers), [`Deployment ${namespace}/grafana-operator`])
  t.is(await replicas(theirs), 0)
  t.deepEqual(await pauseAgain(migration, api), [], 'what was dropped is not asked for again and again')
})

test.serial(
  'what somebody lets go while the cluster is quiet is paused again, and comes back as it was at first',
  async (t) => {
    const namespace = await namespaceOf('let-go')
    const { path } = await resource('rabbitmq.com', 'rabbitmqclusters', kindOf('rabbitmqclusters'), namespace)
    const { migration } = testMigration(settingsOf(namespace))
    const found = (await findOperated(api)).filter((each) => each.path === path)
    await pauseOperators(migration, api, found)
    await api.mergePatch(path, { metadata: { labels: { 'rabbitmq.com/pauseReconciliation': 'false' } } })
    t.deepEqual(await pauseAgain(migration, api), [`Pause ${kindOf('rabbitmqclusters')} ${namespace}/main`])
    t.like((await api.get(path)).metadata.labels, { 'rabbitmq.com/pauseReconciliation': 'true' })
    await resumeOperators(migration, api)
    t.is((await api.get(path)).metadata.labels, undefined)
  },
)

test('an HPA is touched only if 0 is a number that it may choose', (t) => {
  const row = operators.find(({ group }) => group === 'autoscaling')
  if (!row) return t.fail()
  const served = {
    group: 'autoscaling',
    version: 'v2',
    resource: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
    namespaced: true,
  }
  const hpa = (minReplicas?: number) => ({
    metadata: { name: 'plex', namespace: 'media' },
    spec: {
      scaleTargetRef: { kind: 'Deployment', name: 'plex' },
      ...(minReplicas === undefined ? {} : { minReplicas }),
    },
  })
  t.like(operatedFrom(row, served, hpa(0)), { paused: false, before: 0, scales: 'Deployment media/plex' })
  t.is(operatedFrom(row, served, hpa(2)), null)
})
