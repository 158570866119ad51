import { join } from 'node:path'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { runPhase } from '../../lib/migration/phase.ts'
import { createRun } from '../../lib/migration/run-folder.ts'
import { loadSettings } from '../../lib/settings.ts'
import drainScript from '../../scripts/drain.ts'
import { type BareCluster, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { DrainGround, makeNode } from '../kubernetes/draining.ts'
import { punctualPods } from '../kubernetes/punctual-pods.ts'
import { environmentIn, listeningConsole } from '../migration/run-in-folder.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster({ pods: true, stages: punctualPods })
  api = cluster.api
})

test.after.always(() => cluster?.stop())

/** An operator's folder in which the backup of this run is done, and what migrate:drain does in it. */
function evening(node: string) {
  const folder = temporaryFolder('drain-flags')
  const environment = {
    ...environmentIn(folder),
    KUBECONFIG: cluster.kubeconfig,
    NODE_NAME: node,
    EMPTYDIR_DATA: 'keep',
    DRAIN_TIMEOUT: '30',
  }
  const run = createRun(loadSettings(environment), systemClock.now)
  const journal = Journal.open(run.journalPath, systemClock.now)
  for (const state of ['begin', 'done'] as const) journal.append({ type: 'phase', phase: 'backup', state })
  journal.close()
  return async (...args: string[]) => {
    const console = listeningConsole()
    const exit = (code: number): never => {
      throw new Error(`exit ${code}`)
    }
    const prompt = { secret: async () => undefined, confirm: async () => undefined }
    const code = await runPhase(drainScript, { args, environment, clock: systemClock, exit, console, prompt })
    return { code, said: console.lines.join('\n'), journal: join(run.path, 'journal.jsonl') }
  }
}

/** Every object of the cluster, by its UID, with its resourceVersion; heartbeats and events left out. */
async function everyVersion(): Promise<Map<string, string>> {
  const { resources } = await discover(api)
  const lists = await Promise.all(
    resources
      .filter(({ resource }) => !['events', 'leases', 'nodes'].includes(resource))
      .map(({ path }) => api.list<KubernetesObject>(path).catch(() => [])),
  )
  return new Map(lists.flat().map(({ metadata }) => [metadata.uid ?? '', metadata.resourceVersion ?? '']))
}

test.serial('--dry-run predicts three budgets and changes no resourceVersion of the whole cluster', async (t) => {
  const ground = await DrainGround.make(api, 'talos01')
  for (const app of ['one', 'two', 'three']) await ground.workload('Deployment', app, 1)
  await ground.running(3)
  for (const app of ['one', 'two', 'three']) await ground.budget(`keep-${app}`, app, { minAvailable: 1 })
  await ground.settled()
  const before = await everyVersion()
  t.true(before.size > 50)
  const { code, said } = await evening('talos01')('--dry-run')
  t.is(code, 0, said)
  t.deepEqual(await everyVersion(), before)
  t.falsy((await api.get<{ spec: { unschedulable?: boolean } }>('/api/v1/nodes/talos01')).spec.unschedulable)
  const [told = '', ...changes] = said.slice(said.indexOf('Budgets that block')).split('\n')
  for (const app of ['one', 'two', 'three']) {
    t.regex(told, new RegExp(`on-talos01/keep-${app}.*Deployment on-talos01/${app} \\(1 replica\\)`))
    t.true(
      changes.some((line) => line.includes(`Scale Deployment on-talos01/${app} to 0`)),
      said,
    )
  }
})

test.serial('emptyDir data stops the drain before anything is changed, until it is told by flag', async (t) => {
  const ground = await DrainGround.make(api, 'talos02')
  await ground.workload('Deployment', 'scratch', 1, { spec: { volumes: [{ name: 'v', emptyDir: {} }] } })
  await ground.running(1)
  const drain = evening('talos02')
  const refused = await drain()
  t.is(refused.code, 1)
  t.regex(refused.said, /scratch-.*emptyDir data that would be deleted.*-- --delete-emptydir-data/)
  t.false(refused.said.includes('Cordon'))
  const told = await drain('--delete-emptydir-data', '--ignore-daemonsets')
  t.is(told.code, 0, told.said)
  t.regex(told.said, /its emptyDir data is deleted: on-talos02\/scratch-/)
  t.deepEqual(await ground.left(), [])
})

test.serial('a timeout names who is left and why; the same command with another flag goes on', async (t) => {
  const ground = await DrainGround.make(api, 'talos03')
  await makeNode(api, 'elsewhere')
  await ground.workload('Deployment', 'slow', 1, { spec: { terminationGracePeriodSeconds: 600 } })
  await ground.running(1)
  const drain = evening('talos03')
  const timedOut = await drain('--timeout', '2s')
  t.is(timedOut.code, 1)
  t.regex(timedOut.said, /Waited 2\.0s until talos03 is drained.*1 of 1 still there\n.*slow-\S+: its grace ends at/)
  const { code, said } = await drain('--grace-period=1')
  t.is(code, 0, said)
  t.regex(said, /step Cordon talos03 skipped/)
  t.deepEqual(await ground.left(), [])
})

test.serial('wrong usage exits with 2, a virtual node with 1, and neither changes anything', async (t) => {
  const ground = await DrainGround.make(api, 'talos04')
  await ground.workload('Deployment', 'web', 1)
  await ground.running(1)
  await makeNode(api, 'liqo-aws', { 'liqo.io/type': 'virtual-node' })
  const drain = evening('talos04')
  for (const args of [
    ['--timeout=soon'],
    ['--grace-period=x'],
    ['--pod-selector=app in ('],
    ['--node=a', '--selector=b'],
  ]) {
    const { code, said } = await drain(...args)
    t.is(code, 2, `${args}: ${said}`)
  }
  const virtual = await drain('--node=liqo-aws')
  t.is(virtual.code, 1)
  t.regex(virtual.said, /Node liqo-aws is a virtual node of Liqo/)
  for (const node of ['talos04', 'liqo-aws']) {
    t.falsy((await api.get<{ spec: { unschedulable?: boolean } }>(`/api/v1/nodes/${node}`)).spec.unschedulable)
  }
  t.deepEqual(await ground.left(), ['web'])
})

test.serial(
  '--node drains another one, and the run says that the machine which goes away is not drained',
  async (t) => {
    const ground = await DrainGround.make(api, 'talos05')
    await ground.workload('Deployment', 'web', 1)
    await ground.running(1)
    await makeNode(api, 'talos06')
    const drain = evening('talos06')
    const other = await drain('--node', 'talos05')
    t.is(other.code, 1)
    t.regex(other.said, /talos05 is drained; talos06, whose machine goes away, is not/)
    t.deepEqual(await ground.left(), [])
    const own = await drain()
    t.is(own.code, 0, own.said)
  },
)
