import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { drain, lookAhead, refuseUnmanaged } from '../../lib/kubernetes/drain.ts'
import { fullName } from '../../lib/kubernetes/kinds.ts'
import { cordon } from '../../lib/kubernetes/nodes.ts'
import { listPods } from '../../lib/kubernetes/pods.ts'
import { scaleBack, scaleDown } from '../../lib/kubernetes/scale.ts'
import { type BareCluster, startBareCluster, until } from './bare-cluster.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn
const node = 'talos00'
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster({ pods: true })
  api = cluster.api
  const room = { cpu: '16', memory: '64Gi', pods: '110' }
  await api.create('/api/v1/nodes', {
    metadata: { name: node, labels: { 'kubernetes.io/hostname': node } },
    status: { capacity: room, allocatable: room },
  })
})

test.after.always(() => cluster?.stop())

test.afterEach.always(async () => {
  await api.mergePatch(`/api/v1/nodes/${node}`, { spec: { unschedulable: null } })
})

const template = (app: string, more: Record<string, unknown> = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: 'c', image: 'i' }], terminationGracePeriodSeconds: 1, ...more },
})

async function deployment(namespace: string, name: string, replicas: number, more: Record<string, unknown> = {}) {
  const spec = { replicas, selector: { matchLabels: { app: name } }, template: template(name, more) }
  await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, { metadata: { name }, spec })
}

async function daemonSet(namespace: string, name: string) {
  const spec = { selector: { matchLabels: { app: name } }, template: template(name) }
  await api.create(`/apis/apps/v1/namespaces/${namespace}/daemonsets`, { metadata: { name }, spec })
}

async function budget(namespace: string, name: string, app: string, spec: Record<string, unknown>) {
  const body = { metadata: { name }, spec: { selector: { matchLabels: { app } }, ...spec } }
  await api.create(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`, body)
}

async function space(name: string) {
  await api.create('/api/v1/namespaces', { metadata: { name } })
  return name
}

async function running(namespace: string, count: number) {
  await until(`${count} pods are ready in ${namespace}`, async () => {
    const pods = (await listPods(api)).filter((pod) => pod.metadata.namespace === namespace)
    const ready = pods.filter((pod) =>
      pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    )
    return ready.length === count
  })
}

async function observed(namespace: string, name: string) {
  await until(`the disruption controller has seen ${name}`, async () => {
    const found = await api.get(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/${name}`)
    return ((found.status ?? {}) as { currentHealthy?: number }).currentHealthy !== undefined
  })
}

const podsOn = async (namespace: string) =>
  (await listPods(api, { node })).filter((pod) => pod.metadata.namespace === namespace)

test.serial('pods go, those of DaemonSets and mirror pods stay, and what waits for the node is Pending', async (t) => {
  const namespace = await space('ordinary')
  await deployment(namespace, 'web', 3, { volumes: [{ name: 'scratch', emptyDir: {} }] })
  await daemonSet(namespace, 'agent')
  const mirror = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' }
  const uid = (await api.get(`/api/v1/nodes/${node}`)).metadata.uid
  const owner = { apiVersion: 'v1', kind: 'Node', name: node, uid, controller: true }
  const metadata = { name: `static-${node}`, annotations: mirror, ownerReferences: [owner] }
  await api.create(`/api/v1/namespaces/${namespace}/pods`, {
    metadata,
    spec: { ...template('static').spec, nodeName: node },
  })
  await running(namespace, 5)

  const { migration } = testMigration()
  await cordon(migration, api, node)
  const outlook = await lookAhead(api, node, { force: false })
  t.true(outlook.onlyHome)
  t.is(outlook.evicted.filter(({ pod }) => pod.metadata.namespace === namespace).length, 3)
  await drain(migration, api, outlook)

  t.deepEqual((await podsOn(namespace)).map((pod) => pod.metadata.name.replace(/-\w{5}$/, '')).sort(), [
    'agent',
    `static-${node}`,
  ])
  const waiting = (await listPods(api)).filter((pod) => pod.metadata.namespace === namespace && !pod.spec.nodeName)
  t.is(waiting.length, 3)
  await api.remove(`/api/v1/namespaces/${namespace}`)
})

test.serial(
  'a pod that nothing would bring back is refused by name before anything is evicted, unless forced',
  async (t) => {
    const namespace = await space('unmanaged')
    await api.create(`/api/v1/namespaces/${namespace}/pods`, { metadata: { name: 'lonely' }, spec: template('x').spec })
    await running(namespace, 1)
    const outlook = await lookAhead(api, node, { force: false })
    const error = t.throws(() => refuseUnmanaged(outlook))
    t.regex(error?.message ?? '', /unmanaged\/lonely/)
    const { migration } = testMigration()
    await drain(migration, api, await lookAhead(api, node, { force: true }))
    t.deepEqual(await podsOn(namespace), [])
  },
)

test.serial(
  'on the only home, what a budget would keep for ever is named, scaled down with its replicas kept, and comes back',
  async (t) => {
    const namespace = await space('budgets')
    await deployment(namespace, 'two', 2)
    await deployment(namespace, 'twice', 1)
    await deployment(namespace, 'free', 1)
    await budget(namespace, 'one-at-least', 'two', { minAvailable: 1 })
    await budget(namespace, 'first', 'twice', { maxUnavailable: 1 })
    await budget(namespace, 'second', 'twice', { maxUnavailable: 1 })
    await running(namespace, 4)
    for (const name of ['one-at-least', 'first', 'second']) await observed(namespace, name)

    const { migration } = testMigration({ DRAIN_TIMEOUT: '40' })
    await cordon(migration, api, node)
    const outlook = await lookAhead(api, node, { force: false })
    const named = outlook.blockers.map(({ budget: name }) => name).sort()
    t.deepEqual(named, ['budgets/first and budgets/second', 'budgets/one-at-least'])
    t.deepEqual(outlook.toScaleDown.map(({ name }) => name).sort(), ['twice', 'two'])
    t.deepEqual(outlook.unresolved, [])

    await scaleDown(migration, api, outlook.toScaleDown)
    await drain(migration, api, await lookAhead(api, node, { force: false }))
    t.deepEqual(await podsOn(namespace), [])

    await scaleBack(migration, api)
    const deployments = await api.list(`/apis/apps/v1/namespaces/${namespace}/deployments`)
    const replicas = Object.fromEntries(
      deployments.map(({ metadata, spec }) => [metadata.name, (spec as { replicas: number }).replicas]),
    )
    t.deepEqual(replicas, { two: 2, twice: 1, free: 1 })
    await api.remove(`/api/v1/namespaces/${namespace}`)
  },
)

test.serial('a budget that blocks until somebody makes room is asked again, and says why meanwhile', async (t) => {
  const namespace = await space('patience')
  await deployment(namespace, 'db', 1)
  await budget(namespace, 'keep', 'db', { minAvailable: 1 })
  await running(namespace, 1)
  await observed(namespace, 'keep')
  const { migration, lines } = testMigration()
  const drained = drain(migration, api, await lookAhead(api, node, { force: false }))
  await until('it says why', async () =>
    lines.some((line) => line.startsWith('detail') && line.includes('disruption budget')),
  )
  await api.mergePatch(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/keep`, {
    spec: { minAvailable: 0 },
  })
  await t.notThrowsAsync(drained)
  await api.remove(`/api/v1/namespaces/${namespace}`)
})

test.serial('after DRAIN_TIMEOUT the pods that are still there are named, with the reason', async (t) => {
  const namespace = await space('stubborn')
  await deployment(namespace, 'db', 1)
  await budget(namespace, 'keep', 'db', { minAvailable: 1 })
  await running(namespace, 1)
  await observed(namespace, 'keep')
  const { migration } = testMigration({ DRAIN_TIMEOUT: '2' })
  const error = await t.throwsAsync(drain(migration, api, await lookAhead(api, node, { force: false })))
  const { means = '', next = '' } = error as { means?: string; next?: string }
  t.regex(means, /stubborn\/db-.*keep|stubborn\/db-.*disruption budget/)
  t.regex(next, /run this again/)
  await api.remove(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/keep`)
  await api.remove(`/api/v1/namespaces/${namespace}`)
})

test.serial('a pod in a terminating namespace is waited for, not failed over', async (t) => {
  const namespace = await space('ending')
  await deployment(namespace, 'web', 1, { terminationGracePeriodSeconds: 3 })
  await running(namespace, 1)
  const { migration } = testMigration()
  const outlook = await lookAhead(api, node, { force: false })
  await api.remove(`/api/v1/namespaces/${namespace}`)
  await delay(100)
  await t.notThrowsAsync(drain(migration, api, outlook))
  t.deepEqual(await podsOn(namespace), [])
})

test.serial('a pod that is gone before its turn is no error', async (t) => {
  const namespace = await space('gone')
  await deployment(namespace, 'web', 1)
  await running(namespace, 1)
  const { migration } = testMigration()
  const outlook = await lookAhead(api, node, { force: false })
  await api.remove(`/apis/apps/v1/namespaces/${namespace}/deployments/web`)
  await until('its pod is gone', async () => (await podsOn(namespace)).length === 0)
  await t.notThrowsAsync(drain(migration, api, outlook))
})

test.serial('the pods that are evicted are those that kubectl drain evicts', async (t) => {
  const namespace = await space('beside-kubectl')
  await deployment(namespace, 'web', 2, { volumes: [{ name: 'scratch', emptyDir: {} }] })
  await daemonSet(namespace, 'agent')
  const job = { template: { spec: { ...template('job').spec, restartPolicy: 'Never' } } }
  await api.create(`/apis/batch/v1/namespaces/${namespace}/jobs`, { metadata: { name: 'job' }, spec: job })
  await until('all are placed', async () => (await podsOn(namespace)).length === 4)

  const ours = (await lookAhead(api, node, { force: false })).evicted.map(({ pod }) => fullName(pod)).sort()
  const flags = [
    '--ignore-daemonsets',
    '--delete-emptydir-data',
    '--dry-run=server',
    '--kubeconfig',
    cluster.kubeconfig,
  ]
  const said = await promisify(execFile)('kubectl', ['drain', node, ...flags]).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (said === null) {
    t.log('kubectl is not on this machine: not compared')
    t.pass()
    return
  }
  const theirs = [...said.stdout.matchAll(/evicting pod (\S+)/g)].map((found) => found[1] ?? '').sort()
  t.true(ours.length >= 3)
  t.deepEqual(ours, theirs)
  await api.remove(`/api/v1/namespaces/${namespace}`)
})

test.serial('a dry run evicts nothing and names every pod', async (t) => {
  const namespace = await space('dry')
  await deployment(namespace, 'web', 2)
  await running(namespace, 2)
  const before = (await podsOn(namespace)).map((pod) => [pod.metadata.uid, pod.metadata.resourceVersion])
  const { migration, lines } = testMigration({}, { dryRun: true })
  await drain(migration, api, await lookAhead(api, node, { force: false }))
  const after = await podsOn(namespace)
  t.deepEqual(
    after.map((pod) => [pod.metadata.uid, pod.metadata.resourceVersion]),
    before,
  )
  for (const pod of after) t.true(lines.some((line) => line.startsWith('change') && line.includes(fullName(pod))))
})
