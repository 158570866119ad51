import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { findCronJobs, resumeCronJobs, suspendCronJobs } from '../../lib/kubernetes/cronjobs.ts'
import { cordon, uncordon } from '../../lib/kubernetes/nodes.ts'
import { findOperated, pauseOperators, resumeOperators } from '../../lib/kubernetes/operators.ts'
import { quietWorkloads } from '../../lib/kubernetes/quiet.ts'
import { stageIsReady } from '../../lib/kubernetes/readiness.ts'
import { scaleBack } from '../../lib/kubernetes/scale.ts'
import { findUnscaled } from '../../lib/kubernetes/unscaled.ts'
import { findStateful } from '../../lib/kubernetes/workloads.ts'
import { standingConflicts, tellConflicts } from '../../lib/migration/conflicts.ts'
import type { Journal } from '../../lib/migration/journal.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { type BareCluster, installDefinitions, startBareCluster } from './bare-cluster.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn<{ namespace: string }>
let cluster: BareCluster
let api: KubernetesApi
let count = 0

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await installDefinitions(api, ['prometheus-operator.yaml'])
})

test.after.always(() => cluster?.stop())

test.beforeEach(async (t) => {
  count++
  t.context.namespace = `quiet-${count}`
  await api.create('/api/v1/namespaces', { metadata: { name: t.context.namespace } })
})

const labels = { app: 'x' }
const template = (volumes: unknown[] = []) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image: 'i' }], volumes },
})

async function workload(
  namespace: string,
  kind: 'deployments' | 'statefulsets',
  name: string,
  replicas: number,
  claim?: string,
) {
  const volumes = claim ? [{ name: 'data', persistentVolumeClaim: { claimName: claim } }] : []
  const spec = {
    replicas,
    selector: { matchLabels: labels },
    template: template(volumes),
    ...(kind === 'statefulsets' ? { serviceName: name } : {}),
  }
  const path = `/apis/apps/v1/namespaces/${namespace}/${kind}`
  await api.create(path, { metadata: { name }, spec })
  return `${path}/${name}`
}

async function claimOf(namespace: string, name: string, storageClassName: string, volumeName?: string) {
  const spec = {
    storageClassName,
    ...(volumeName ? { volumeName } : {}),
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
  }
  await api.create(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, { metadata: { name }, spec })
}

async function replicas(path: string): Promise<number | undefined> {
  return ((await api.get(path)).spec as { replicas?: number }).replicas
}

const own = (namespace: string) => ({
  STATEFUL_NAMESPACES: namespace,
  NFS_STORAGE_CLASSES: `nfs-${namespace}`,
  LOCAL_STORAGE_CLASSES: `local-${namespace}`,
})

async function quiet(namespace: string, journal?: Journal) {
  const run = testMigration(own(namespace), journal ? { journal } : {})
  await quietWorkloads(run.migration, api, await statefulIn(namespace, run.migration))
  return run
}

/** Other tests have namespaces of their own in the same cluster. */
async function statefulIn(namespace: string, { settings }: Migration) {
  const found = await findStateful(api, settings)
  return found.filter((workload) => workload.namespace.startsWith(`${namespace}-`) || workload.namespace === namespace)
}

test('stateful is what the settings name, and what mounts a claim wherever it is', async (t) => {
  const { namespace } = t.context
  const elsewhere = `${namespace}-elsewhere`
  await api.create('/api/v1/namespaces', { metadata: { name: elsewhere } })
  await claimOf(elsewhere, 'data', `local-${namespace}`)
  await claimOf(elsewhere, 'shared', `nfs-${namespace}`)
  await claimOf(elsewhere, 'block', 'some-csi')
  await workload(namespace, 'deployments', 'named', 2)
  await workload(namespace, 'deployments', 'asleep', 0)
  await workload(elsewhere, 'deployments', 'local', 1, 'data')
  await workload(elsewhere, 'deployments', 'nfs', 1, 'shared')
  await workload(elsewhere, 'statefulsets', 'csi', 1, 'block')
  await workload(elsewhere, 'deployments', 'stateless', 1)
  await workload(elsewhere, 'deployments', 'dangling', 1, 'no-such-claim')
  const { migration } = testMigration(own(namespace))
  const found = await statefulIn(namespace, migration)
  t.deepEqual(Object.fromEntries(found.map(({ name, reason }) => [name, reason])), {
    named: `namespace ${namespace}`,
    local: `mounts data (local-${namespace}, local)`,
    nfs: `mounts shared (nfs-${namespace}, NFS)`,
    csi: 'mounts block (some-csi)',
  })
})

test('claims that are made with the pods count too: of a StatefulSet, and generic ephemeral ones', async (t) => {
  const { namespace } = t.context
  const elsewhere = `${namespace}-elsewhere`
  await api.create('/api/v1/namespaces', { metadata: { name: elsewhere } })
  const spec = {
    storageClassName: `local-${namespace}`,
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
  }
  const selector = { matchLabels: labels }
  await api.create(`/apis/apps/v1/namespaces/${elsewhere}/statefulsets`, {
    metadata: { name: 'db' },
    spec: {
      replicas: 1,
      serviceName: 'db',
      selector,
      template: template(),
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec }],
    },
  })
  const scratch = [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { spec } } }]
  await api.create(`/apis/apps/v1/namespaces/${elsewhere}/deployments`, {
    metadata: { name: 'scratching' },
    spec: { replicas: 1, selector, template: template(scratch) },
  })
  const { migration } = testMigration(own(namespace))
  const found = await statefulIn(namespace, migration)
  t.deepEqual(Object.fromEntries(found.map(({ name, reason }) => [name, reason])), {
    db: `mounts data-db-0 (local-${namespace}, local)`,
    scratching: `mounts scratch (local-${namespace}, local)`,
  })
})

test('a volume without a class is told by what it is', async (t) => {
  const { namespace } = t.context
  const elsewhere = `${namespace}-elsewhere`
  await api.create('/api/v1/namespaces', { metadata: { name: elsewhere } })
  const volume = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] }
  await api.create('/api/v1/persistentvolumes', {
    metadata: { name: `${namespace}-by-hand` },
    spec: { ...volume, nfs: { server: '192.0.2.7', path: '/media' } },
  })
  await api.create(`/api/v1/namespaces/${elsewhere}/persistentvolumeclaims`, {
    metadata: { name: 'media' },
    spec: {
      storageClassName: '',
      volumeName: `${namespace}-by-hand`,
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
    },
  })
  await workload(elsewhere, 'deployments', 'plex', 1, 'media')
  const [found] = await statefulIn(namespace, testMigration(own(namespace)).migration)
  t.is(found?.reason, 'mounts media (no class, NFS)')
})

test('a namespace of the settings that is empty, or not there, is no error', async (t) => {
  const { migration, journal } = testMigration({ ...own(t.context.namespace), STATEFUL_NAMESPACES: 'never-heard-of' })
  await quietWorkloads(migration, api, await statefulIn('never-heard-of', migration))
  t.deepEqual(journal.changes(), [])
})

test('what mounts a claim and has no replicas is named: DaemonSets, Jobs, pods of nobody', async (t) => {
  const { namespace } = t.context
  await claimOf(namespace, 'data', 'some-csi')
  const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }]
  const selector = { matchLabels: labels }
  await api.create(`/apis/apps/v1/namespaces/${namespace}/daemonsets`, {
    metadata: { name: 'everywhere' },
    spec: { selector, template: template(volumes) },
  })
  await api.create(`/api/v1/namespaces/${namespace}/pods`, { metadata: { name: 'bare' }, spec: template(volumes).spec })
  const { migration } = testMigration(own(namespace))
  const found = (await findUnscaled(api, migration.settings)).filter(({ who }) => who.includes(namespace))
  t.deepEqual(
    found.map(({ who, mounts }) => [who, ...mounts]),
    [
      [`DaemonSet ${namespace}/everywhere`, 'data (some-csi)'],
      [`Pod ${namespace}/bare`, 'data (some-csi)'],
    ],
  )
})

test('volumes are waited for until they are detached, unless another pod still mounts them', async (t) => {
  const { namespace } = t.context
  const volume = `${namespace}-block`
  const node = `${namespace}-node`
  await api.create('/api/v1/nodes', { metadata: { name: node } })
  await api.create('/api/v1/persistentvolumes', {
    metadata: { name: volume },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'some-csi',
      csi: { driver: 'csi.example.com', volumeHandle: volume },
    },
  })
  await claimOf(namespace, 'block', 'some-csi', volume)
  const attachments = '/apis/storage.k8s.io/v1/volumeattachments'
  const source = { persistentVolumeName: volume }
  await api.create(attachments, {
    metadata: { name: volume },
    spec: { attacher: 'csi.example.com', nodeName: node, source },
  })
  await workload(namespace, 'deployments', 'db', 1, 'block')
  const run = testMigration({ ...own(namespace), DRAIN_TIMEOUT: '2' })
  const stuck = await t.throwsAsync(quietWorkloads(run.migration, api, await statefulIn(namespace, run.migration)))
  t.like(stuck, { means: `Last seen: ${volume} is attached to ${node}.` })
  await api.remove(`${attachments}/${volume}`)
  // Scaled down already, it is still waited for: the first call did not come to its end.
  await quietWorkloads(run.migration, api, await statefulIn(namespace, run.migration))
  t.pass()
})

test('replicas come back as they were, and what was at zero stays there', async (t) => {
  const { namespace } = t.context
  const three = await workload(namespace, 'statefulsets', 'three', 3)
  const two = await workload(namespace, 'deployments', 'two', 2)
  const none = await workload(namespace, 'deployments', 'none', 0)
  const { migration } = await quiet(namespace)
  t.deepEqual([await replicas(three), await replicas(two), await replicas(none)], [0, 0, 0])
  await scaleBack(migration, api)
  t.deepEqual([await replicas(three), await replicas(two), await replicas(none)], [3, 2, 0])
})

test('after a kill the first count is the one that comes back', async (t) => {
  const { namespace } = t.context
  const path = await workload(namespace, 'deployments', 'app', 3)
  const first = testMigration(own(namespace))
  const [found] = await statefulIn(namespace, first.migration)
  t.is(found?.replicas, 3)
  // Killed between the journal's line and the change: the line is there, the replicas are not yet 0, and somebody scales meanwhile.
  const undo = { kind: 'scale', path, replicas: 3 }
  first.journal.beginChange({ phase: 'drain', step: '', what: `Scale Deployment ${namespace}/app to 0`, undo })
  await api.mergePatch(path, { spec: { replicas: 1 } })
  const second = await quiet(namespace, first.journal)
  t.is(await replicas(path), 0)
  await scaleBack(second.migration, api)
  t.is(await replicas(path), 3)
})

test('a count that somebody chose meanwhile is kept and shown with both values', async (t) => {
  const { namespace } = t.context
  const path = await workload(namespace, 'deployments', 'app', 3)
  const { migration, lines } = await quiet(namespace)
  await api.mergePatch(path, { spec: { replicas: 5 } })
  await scaleBack(migration, api)
  t.is(await replicas(path), 5)
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('5 replicas now') && line.includes('had 3')))
  tellConflicts(migration)
  t.true(lines.some((line) => line.startsWith("warn 1 of the drain's changes") && line.includes('--take-back')))
})

test('told to take it back, the count of before replaces the one that somebody chose', async (t) => {
  const { namespace } = t.context
  const path = await workload(namespace, 'deployments', 'app', 3)
  const { migration, journal } = await quiet(namespace)
  await api.mergePatch(path, { spec: { replicas: 5 } })
  await scaleBack(migration, api)
  t.is(await replicas(path), 5)
  const again = testMigration(own(namespace), { journal, flags: { 'take-back': true } })
  await scaleBack(again.migration, api)
  t.is(await replicas(path), 3)
  t.deepEqual(standingConflicts(journal), [])
})

test('in an order of its own, what comes back first is ready before the next comes', async (t) => {
  const { namespace } = t.context
  const db = await workload(namespace, 'deployments', 'db', 1)
  const app = await workload(namespace, 'deployments', 'app', 1)
  const settings = { ...own(namespace), QUIET_ORDER: '*/app, */db' }
  const { migration, lines } = testMigration(settings)
  await quietWorkloads(migration, api, await statefulIn(namespace, migration))
  const back = scaleBack(migration, api, (paths) => stageIsReady(migration, api, paths))
  while (!lines.some((line) => line.includes(`not ready yet: Deployment ${namespace}/db`))) await delay(20)
  t.is(await replicas(app), 0)
  const { generation } = (await api.get(db)).metadata
  await api.mergePatch(`${db}/status`, {
    status: { replicas: 1, readyReplicas: 1, availableReplicas: 1, observedGeneration: generation },
  })
  await back
  t.is(await replicas(app), 1)
})

test('a workload that is gone meanwhile is shown, and does not stop the others', async (t) => {
  const { namespace } = t.context
  const gone = await workload(namespace, 'deployments', 'gone', 1)
  const there = await workload(namespace, 'deployments', 'there', 1)
  const { migration, lines } = await quiet(namespace)
  await api.remove(gone)
  await scaleBack(migration, api)
  t.is(await replicas(there), 1)
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('not there any more')))
})

test('a dry run of scaling down changes no resourceVersion', async (t) => {
  const { namespace } = t.context
  const path = await workload(namespace, 'deployments', 'app', 2)
  const before = (await api.get(path)).metadata.resourceVersion
  const { migration, lines } = testMigration(own(namespace), { dryRun: true })
  await quietWorkloads(migration, api, await statefulIn(namespace, migration))
  t.is((await api.get(path)).metadata.resourceVersion, before)
  t.true(lines.some((line) => line.startsWith('change') && line.includes(`Scale Deployment ${namespace}/app to 0`)))
})

test('what an operator scales back is scaled down again', async (t) => {
  const { namespace } = t.context
  const path = await workload(namespace, 'statefulsets', 'db', 2)
  // A pod that takes its time to end gives the operator the time to interfere.
  const { uid = '' } = (await api.get(path)).metadata
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid, controller: true }
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const pod = {
    metadata: { name: 'db-0', labels, ownerReferences: [owner] },
    spec: { ...template().spec, nodeName: 'n' },
  }
  await api.create(pods, pod)
  const quieted = quiet(namespace)
  await delay(400)
  await api.mergePatch(path, { spec: { replicas: 2 } })
  await delay(2500)
  await api.remove(`${pods}/db-0?gracePeriodSeconds=0`)
  const { migration } = await quieted
  t.is(await replicas(path), 0)
  await scaleBack(migration, api)
  t.is(await replicas(path), 2)
})

test('CronJobs are suspended and resumed byte for byte, and those suspended before stay so', async (t) => {
  const { namespace } = t.context
  const path = `/apis/batch/v1/namespaces/${namespace}/cronjobs`
  const spec = {
    schedule: '0 4 * * *',
    jobTemplate: { spec: { template: { spec: { ...template().spec, restartPolicy: 'Never' } } } },
  }
  await api.create(path, { metadata: { name: 'nightly' }, spec })
  await api.create(path, { metadata: { name: 'off' }, spec: { ...spec, suspend: true } })
  const before = (await api.list(path)).map((cronJob) => cronJob.spec)
  const { migration } = testMigration(own(namespace))
  const found = (await findCronJobs(api, migration.settings)).filter(({ metadata }) => metadata.namespace === namespace)
  await suspendCronJobs(migration, api, found)
  t.true((await api.list(path)).every((cronJob) => (cronJob.spec as { suspend?: boolean }).suspend === true))
  await resumeCronJobs(migration, api)
  t.deepEqual(
    (await api.list(path)).map((cronJob) => cronJob.spec),
    before,
  )
})

test('a node that was cordoned before stays cordoned, and one that we cordoned does not', async (t) => {
  for (const [name, unschedulable] of [
    ['ours', false],
    ['theirs', true],
  ] as const) {
    const node = `${t.context.namespace}-${name}`
    await api.create('/api/v1/nodes', { metadata: { name: node }, spec: unschedulable ? { unschedulable } : {} })
    const before = (await api.get(`/api/v1/nodes/${node}`)).spec
    const { migration } = testMigration()
    await cordon(migration, api, node)
    t.true(((await api.get(`/api/v1/nodes/${node}`)).spec as { unschedulable?: boolean }).unschedulable)
    await uncordon(migration, api)
    t.deepEqual((await api.get(`/api/v1/nodes/${node}`)).spec, before)
  }
})

test("Liqo's virtual node is never drained by mistake", async (t) => {
  const name = `${t.context.namespace}-virtual`
  await api.create('/api/v1/nodes', { metadata: { name, labels: { 'liqo.io/type': 'virtual-node' } } })
  const { migration } = testMigration()
  await t.throwsAsync(cordon(migration, api, name), { message: /virtual node of Liqo/ })
})

test('a Prometheus is paused and resumed, one paused before is left alone, one changed meanwhile is a conflict', async (t) => {
  const { namespace } = t.context
  const path = `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/prometheuses`
  for (const name of ['main', 'changed'])
    await api.create(path, {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'Prometheus',
      metadata: { name },
      spec: { replicas: 1 },
    })
  await api.create(path, {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'Prometheus',
    metadata: { name: 'off' },
    spec: { replicas: 1, paused: true },
  })
  const { migration, journal } = testMigration()
  const found = (await findOperated(api)).filter((each) => each.path.includes(namespace))
  t.is(found.length, 2)
  await pauseOperators(migration, api, found)
  const pausedOf = async (name: string) => ((await api.get(`${path}/${name}`)).spec as { paused?: boolean }).paused
  t.true(await pausedOf('main'))
  await api.mergePatch(`${path}/changed`, { spec: { paused: false } })
  await resumeOperators(migration, api)
  t.is(await pausedOf('main'), undefined)
  t.is(await pausedOf('changed'), false)
  t.true(await pausedOf('off'))
  const told = testMigration({}, { journal, flags: { 'take-back': true } })
  await resumeOperators(told.migration, api)
  t.is(await pausedOf('changed'), undefined)
})
