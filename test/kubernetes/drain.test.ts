import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { drain, verifyMachineIsDrained } from '../../lib/kubernetes/drain.ts'
import { drainOptions, nodesToDrain } from '../../lib/kubernetes/drain-options.ts'
import { lookAhead, refuseUntold } from '../../lib/kubernetes/drain-outlook.ts'
import { fullName, type Node } from '../../lib/kubernetes/kinds.ts'
import { cordon, uncordon } from '../../lib/kubernetes/nodes.ts'
import { scaleBack, scaleDown } from '../../lib/kubernetes/scale.ts'
import { showOutlook } from '../../lib/kubernetes/show-outlook.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { Flags, Migration } from '../../lib/migration/migration.ts'
import { type BareCluster, startBareCluster, until } from './bare-cluster.ts'
import { DrainGround, makeNode } from './draining.ts'
import { punctualPods } from './punctual-pods.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi
let talos00: DrainGround

test.before(async () => {
  cluster = await startBareCluster({ pods: true, stages: punctualPods })
  api = cluster.api
  talos00 = await DrainGround.make(api, 'talos00')
})

test.after.always(() => cluster?.stop())

const lookAt = (migration: Migration, nodes: string[], flags: Flags = {}) =>
  lookAhead(api, nodes, { ...drainOptions(flags, migration.settings), now: new Date() })

const drainNow = async (migration: Migration, nodes: string[], flags: Flags = {}) =>
  drain(migration, api, await lookAt(migration, nodes, flags), drainOptions(flags, migration.settings))

async function workloadsOf({ namespace }: DrainGround) {
  const deployments = await api.list(`/apis/apps/v1/namespaces/${namespace}/deployments`)
  return Object.fromEntries(
    deployments.map(({ metadata, spec }) => [metadata.name, (spec as { replicas: number }).replicas]),
  )
}

// First, while it is the only Node.
test.serial('on the only home, what waits for the node is Pending, and a table of everybody is spared', async (t) => {
  await talos00.workload('Deployment', 'web', 3, { spec: { volumes: [{ name: 'scratch', emptyDir: {} }] } })
  await talos00.workload('DaemonSet', 'agent', 1)
  await talos00.running(4)
  const { migration, lines } = testMigration()
  const outlook = await lookAt(migration, ['talos00'])
  t.true(outlook.onlyHome)
  t.is(outlook.stranded.length, 3)
  showOutlook(migration, outlook)
  t.is(lines.filter((line) => line.includes('No other node can take them')).length, 1)
  t.is(lines.filter((line) => line.startsWith('table')).length, 0)
  t.true(
    lines.some((line) => line.includes('its emptyDir data is deleted')),
    lines.join('\n'),
  )

  await cordon(migration, api, 'talos00')
  t.deepEqual(await drainNow(migration, ['talos00']), { evicted: 3 })
  t.deepEqual(await talos00.left(), ['agent'])
  t.is((await talos00.pods()).filter((pod) => !pod.spec.nodeName).length, 3)
  await uncordon(migration, api)
  await talos00.running(4)
  await api.remove(`/apis/apps/v1/namespaces/${talos00.namespace}/deployments/web`)
  await until('its pods are gone', async () => (await talos00.left()).length === 1)
})

test.serial(
  'what a budget would keep here for ever is named, scaled down with its replicas kept, and comes back',
  async (t) => {
    await talos00.workload('Deployment', 'two', 2)
    await talos00.workload('Deployment', 'twice', 1)
    await talos00.workload('Deployment', 'free', 1)
    await talos00.running(5)
    await talos00.budget('one-at-least', 'two', { minAvailable: 1 })
    for (const name of ['first', 'second']) await talos00.budget(name, 'twice', { maxUnavailable: 1 })

    const { migration } = testMigration({ DRAIN_TIMEOUT: '40' })
    await cordon(migration, api, 'talos00')
    const outlook = await lookAt(migration, ['talos00'])
    const named = outlook.blockers.map(({ budget, workloads }) => [budget, ...workloads]).sort()
    t.deepEqual(named, [
      ['on-talos00/first and on-talos00/second', 'Deployment on-talos00/twice (1 replica)'],
      ['on-talos00/one-at-least', 'Deployment on-talos00/two (2 replicas)'],
    ])
    t.deepEqual(outlook.toScaleDown.map(({ name }) => name).sort(), ['twice', 'two'])
    t.deepEqual(outlook.unresolved, [])

    await scaleDown(migration, api, outlook.toScaleDown)
    await drainNow(migration, ['talos00'])
    t.deepEqual(await talos00.left(), ['agent'])
    await scaleBack(migration, api)
    t.deepEqual(await workloadsOf(talos00), { two: 2, twice: 1, free: 1 })
    await uncordon(migration, api)
  },
)

test.serial(
  'three budgets that block are predicted before the first eviction, with workload, replicas and reason',
  async (t) => {
    await makeNode(api, 'worker')
    const ground = await DrainGround.make(api, 'blocked', ['worker'])
    await api.mergePatch('/api/v1/nodes/worker', { spec: { unschedulable: true } })
    await ground.workload('StatefulSet', 'all', 2)
    await ground.workload('Deployment', 'none', 1)
    await ground.workload('Deployment', 'hurt', 3)
    await ground.pod('sick', { metadata: { labels: { app: 'hurt', unready: 'yes' } } })
    await ground.running(7)
    await api.mergePatch('/api/v1/nodes/worker', { spec: { unschedulable: null } })
    await ground.budget('all-of-them', 'all', { minAvailable: '100%' })
    await ground.budget('not-one', 'none', { maxUnavailable: 0 })
    await ground.budget('quorum', 'hurt', { minAvailable: 3 })

    const { migration, lines } = testMigration()
    const before = await ground.settled()
    const outlook = await lookAt(migration, [ground.node], { force: true })
    showOutlook(migration, outlook)
    t.deepEqual(await ground.versions(), before)
    const told = outlook.blockers.map(({ budget, workloads, reason }) => `${budget}: ${workloads[0]}: ${reason}`).sort()
    t.is(told.length, 3, told.join('\n'))
    t.regex(told[0] ?? '', /all-of-them: StatefulSet \S+all \(2 replicas\): minAvailable 100% never lets one of 2/)
    t.regex(told[1] ?? '', /not-one: Deployment \S+none \(1 replica\): maxUnavailable 0 never lets one of 1/)
    t.regex(
      told[2] ?? '',
      /quorum: Deployment \S+hurt \(3 replicas\): 3 of 4 pods healthy, 3 demanded; not ready: sick/,
    )
    t.deepEqual(outlook.toScaleDown, [])
    for (const name of ['all-of-them', 'not-one', 'quorum']) {
      t.true(
        lines.some((line) => line.includes(`${ground.namespace}/${name}`)),
        name,
      )
    }
  },
)

test.serial('a dry run changes nothing, no resourceVersion, and names every pod and the cordon', async (t) => {
  const ground = await DrainGround.make(api, 'dry')
  await ground.workload('Deployment', 'web', 2)
  await ground.running(2)
  await ground.budget('keep', 'web', { minAvailable: 2 })
  const before = await ground.settled()
  const spec = (await api.get<Node>('/api/v1/nodes/dry')).spec
  const { migration, lines } = testMigration({}, { dryRun: true })
  await cordon(migration, api, 'dry')
  await drainNow(migration, ['dry'])
  t.deepEqual(await ground.versions(), before)
  t.deepEqual((await api.get<Node>('/api/v1/nodes/dry')).spec, spec)
  for (const pod of await ground.pods()) t.true(lines.some((line) => line.includes(`Evict Pod ${fullName(pod)}`)))
  t.true(lines.some((line) => line.includes('Cordon Node dry')))
})

test.serial('a pod that came since the operator was asked is not evicted untold', async (t) => {
  const ground = await DrainGround.make(api, 'late')
  await ground.workload('Deployment', 'web', 1)
  await ground.running(1)
  const { migration } = testMigration()
  t.notThrows(() => refuseUntold({ ...emptyOutlook, nodes: ['late'] }))
  await ground.pod('lonely')
  await ground.running(2)
  const error = await t.throwsAsync(drainNow(migration, ['late']))
  t.regex(error?.message ?? '', /on-late\/lonely/)
  t.deepEqual(await ground.left(), ['lonely', 'web'])
})

const emptyOutlook = {
  ...{ nodes: [], onlyHome: false, evicted: [], left: [], unselected: 0, refused: [], stranded: [] },
  ...{ obstacles: [], blockers: [], toScaleDown: [], unresolved: [] },
}

test.serial('a budget that blocks until somebody makes room is asked again, and says why meanwhile', async (t) => {
  const ground = await DrainGround.make(api, 'patient')
  await ground.workload('Deployment', 'db', 1)
  await ground.running(1)
  await ground.budget('keep', 'db', { minAvailable: 1 })
  const { migration, lines } = testMigration()
  const drained = drainNow(migration, ['patient'])
  await until('it says why', async () => lines.some((line) => line.includes('budget keep needs 1 healthy, has 1')))
  await api.mergePatch(`/apis/policy/v1/namespaces/${ground.namespace}/poddisruptionbudgets/keep`, {
    spec: { minAvailable: 0 },
  })
  await t.notThrowsAsync(drained)
})

test.serial('a pod with a finalizer is named before and while it holds the drain up', async (t) => {
  const ground = await DrainGround.make(api, 'held')
  await ground.workload('Deployment', 'db', 1)
  await ground.running(1)
  const [pod] = await ground.pods()
  const path = `/api/v1/namespaces/${ground.namespace}/pods/${pod?.metadata.name}`
  await api.mergePatch(path, { metadata: { finalizers: ['backup.example/hold'] } })
  const { migration, lines } = testMigration()
  const [obstacle] = (await lookAt(migration, ['held'])).obstacles
  t.is(obstacle?.reason, 'finalizer backup.example/hold')
  const drained = drainNow(migration, ['held'])
  await until('it says why', async () => lines.some((line) => line.includes('held by finalizer backup.example/hold')))
  await api.mergePatch(path, { metadata: { finalizers: null } })
  await t.notThrowsAsync(drained)
})

test.serial('a pod that is gone before its turn is no error', async (t) => {
  const ground = await DrainGround.make(api, 'gone')
  await ground.workload('Deployment', 'web', 1)
  await ground.running(1)
  const { migration } = testMigration()
  const options = drainOptions({}, migration.settings)
  const outlook = await lookAt(migration, ['gone'])
  await api.remove(`/apis/apps/v1/namespaces/${ground.namespace}/deployments/web`)
  await until('its pod is gone', async () => (await ground.left()).length === 0)
  await t.notThrowsAsync(drain(migration, api, outlook, options))
})

test.serial('an API server that restarts in the middle does not end the drain', async (t) => {
  const ground = await DrainGround.make(api, 'restarted')
  await ground.workload('Deployment', 'web', 3, { spec: { terminationGracePeriodSeconds: 4 } })
  await ground.workload('Deployment', 'db', 1)
  await ground.running(4)
  await ground.budget('keep', 'db', { minAvailable: 1 })
  const { migration, lines } = testMigration({ DRAIN_TIMEOUT: '120' })
  await cordon(migration, api, 'restarted')
  const drained = drainNow(migration, ['restarted'])
  await until('it waits for the budget', async () => lines.some((line) => line.includes('budget keep needs')))
  await cluster.killApiServer()
  await delay(1500)
  cluster.startApiServer()
  await until('the API server is ready again', async () => (await api.raw('/readyz')).toString() === 'ok')
  await api.remove(`/apis/policy/v1/namespaces/${ground.namespace}/poddisruptionbudgets/keep`)
  await t.notThrowsAsync(drained)
  t.deepEqual(await ground.left(), [])
})

test.serial('killed between evictions, the same drain goes on', async (t) => {
  const ground = await DrainGround.make(api, 'resumed')
  await ground.workload('Deployment', 'web', 4, { spec: { terminationGracePeriodSeconds: 2 } })
  await ground.running(4)
  const first = testMigration({ DRAIN_TIMEOUT: '1' })
  await cordon(first.migration, api, 'resumed')
  await t.throwsAsync(drainNow(first.migration, ['resumed']), { instanceOf: OperatorError })
  const second = testMigration({}, { journal: first.journal })
  await t.notThrowsAsync(drainNow(second.migration, ['resumed']))
  t.deepEqual(await ground.left(), [])
})

test.serial(
  'nodes are chosen by name or by label; a virtual node of Liqo is refused by name, however it is marked',
  async (t) => {
    await makeNode(api, 'blue-1', { pool: 'blue' })
    await makeNode(api, 'blue-2', { pool: 'blue' })
    const settings = { nodeName: 'talos00' }
    t.deepEqual(await nodesToDrain(api, {}, settings), ['talos00'])
    t.deepEqual(await nodesToDrain(api, { node: 'blue-1,blue-2' }, settings), ['blue-1', 'blue-2'])
    t.deepEqual((await nodesToDrain(api, { selector: 'pool=blue' }, settings)).sort(), ['blue-1', 'blue-2'])
    const refused = async (flags: Flags, message: RegExp, exitCode: number) => {
      const error = await t.throwsAsync(nodesToDrain(api, flags, settings), { instanceOf: OperatorError, message })
      t.is((error as OperatorError).exitCode, exitCode as 1 | 2)
    }
    await refused({ selector: 'pool=blue', node: 'blue-1' }, /cannot both/, 2)
    await refused({ selector: 'pool in (' }, /no selector/, 2)
    await refused({ selector: 'pool=red' }, /No Node has the labels/, 1)
    await refused({ node: 'nobody' }, /no Node nobody/, 1)

    const taint = { key: 'virtual-node.liqo.io/not-allowed', value: 'true', effect: 'NoExecute' }
    const marks: [string, object][] = [
      ['aws-label', { metadata: { labels: { 'liqo.io/type': 'virtual-node', pool: 'blue' } } }],
      ['aws-provider', { spec: { providerID: 'liqo://aws' } }],
      ['aws-taint', { spec: { taints: [taint] } }],
      ['aws-kubelet', { metadata: { labels: { type: 'virtual-kubelet' } } }],
    ]
    for (const [name, mark] of marks) {
      await makeNode(api, name)
      await api.mergePatch(`/api/v1/nodes/${name}`, mark)
      await refused({ node: name }, new RegExp(`Node ${name} is a virtual node`), 1)
      const { migration } = testMigration()
      await t.throwsAsync(cordon(migration, api, name), { message: /virtual node/ })
      t.falsy((await api.get<Node>(`/api/v1/nodes/${name}`)).spec.unschedulable)
    }
    await refused({ selector: 'pool=blue' }, /aws-label is a virtual node/, 1)
  },
)

test.serial('several nodes are drained at once, and none of them counts as the home of another’s pods', async (t) => {
  const grounds = [await DrainGround.make(api, 'rack-1', ['rack-2']), await DrainGround.make(api, 'rack-2', ['rack-1'])]
  for (const ground of grounds) await ground.workload('Deployment', 'web', 2)
  for (const ground of grounds) await ground.running(2)
  const { migration } = testMigration()
  const outlook = await lookAt(migration, ['rack-1', 'rack-2'])
  t.is(outlook.evicted.length, 4)
  t.is(outlook.stranded.length, 4)
  for (const node of outlook.nodes) await cordon(migration, api, node)
  await drain(migration, api, outlook, drainOptions({}, migration.settings))
  for (const ground of grounds) t.deepEqual(await ground.left(), [])
})

test.serial('a drain that leaves the machine out which goes away is not complete, and says so', (t) => {
  const { migration } = testMigration({ NODE_NAME: 'talos00' })
  t.notThrows(() => verifyMachineIsDrained(migration, ['blue-1', 'talos00']))
  const error = t.throws(() => verifyMachineIsDrained(migration, ['blue-1']), { instanceOf: OperatorError })
  t.regex(error?.message ?? '', /blue-1 is drained; talos00.* is not/)
})

test.serial('only the node that was cordoned by us is uncordoned', async (t) => {
  await makeNode(api, 'by-us')
  await makeNode(api, 'by-somebody')
  await api.mergePatch('/api/v1/nodes/by-somebody', { spec: { unschedulable: true } })
  const { migration } = testMigration()
  t.is(await cordon(migration, api, 'by-us'), 'cordoned')
  t.is(await cordon(migration, api, 'by-somebody'), 'was cordoned')
  await uncordon(migration, api)
  t.falsy((await api.get<Node>('/api/v1/nodes/by-us')).spec.unschedulable)
  t.true((await api.get<Node>('/api/v1/nodes/by-somebody')).spec.unschedulable)
})

test.serial(
  'the single replica whose only home is this node is named beforehand, with what the others lack',
  async (t) => {
    const ground = await DrainGround.make(api, 'sole')
    await ground.workload('Deployment', 'pinned', 1)
    await ground.running(1)
    const { migration, lines } = testMigration()
    const outlook = await lookAt(migration, ['sole'])
    t.false(outlook.onlyHome)
    t.deepEqual(
      outlook.stranded.map(({ workload }) => workload),
      ['Deployment on-sole/pinned (1 replica)'],
    )
    t.regex(outlook.stranded[0]?.why ?? '', /nodeSelector or node affinity/)
    showOutlook(migration, outlook)
    t.true(
      lines.some((line) => line.includes('only home is sole')),
      lines.join('\n'),
    )
  },
)
