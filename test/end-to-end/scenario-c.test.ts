import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { addWaiting, addWorker, agreed, killInTurn, talosctlOn, withApi } from '../../lib/rehearsal/control-planes.ts'
import { lendHands } from '../../lib/rehearsal/hands.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { table } from '../../lib/rehearsal/proofs.ts'
import { foreignConfig } from '../talos/join/foreign.ts'
import { openSmallCluster } from './control-planes.ts'
import { killWhen } from './on-practice-cluster.ts'

const small = await openSmallCluster()
const { cluster, task } = small
const [second, third, foreignPath] = await Promise.all([
  addWaiting(cluster, 'second', 55),
  addWorker(cluster, { name: 'third', host: 56, hostname: 'talos02' }),
  foreignConfig(cluster),
]).catch((error: unknown) => small.close().then(() => Promise.reject(error)))

test.after.always(() => small.close())

const machines = new Map<string, PracticeMachine>([
  ['talos00', cluster.old],
  ['talos01', second],
  ['talos02', third],
])
const joinNodes = `JOIN_NODES=talos01=${second.hardware.address},talos02=${third.hardware.address}`

async function members(through = cluster.old): Promise<Record<string, string>[]> {
  return table(await talosctlOn(cluster, through, 'etcd', 'members'))
}

const names = async (through = cluster.old) => (await members(through)).map((row) => row.HOSTNAME).sort()

test.serial('a foreign secrets bundle is refused before anything is touched', async (t) => {
  const backup = await task(['migrate:backup', 'SCENARIO=C'])
  t.is(backup.exitCode, 0, backup.output)
  const named = ['NODE=talos01', `IP=${second.hardware.address}`, `CONTROLPLANE_CONFIG=${foreignPath}`]
  const { exitCode, output } = await task(['migrate:join', ...named])
  t.is(exitCode, 1, output)
  t.regex(output, /comes from another secrets bundle than the cluster: Talos CA .*etcd CA/)
  t.regex(output, /Nothing was changed/)
  t.is(second.timeline.at(-1)?.event, 'maintenance-ready', 'it waits as it did')
  t.deepEqual(await names(), ['talos00'])
})

const begun = (records: JournalRecord[], what: RegExp) =>
  records.some((one) => one.type === 'change' && what.test(one.what))

/** Where the run is killed, in the order in which it comes there. */
const points = [
  { name: 'while the first gets its config', what: /^Apply the config of talos00 for talos01/ },
  { name: 'while the worker is reset', what: /^Reset the worker talos02/ },
  { name: 'while the second gets its config', what: /^Apply the config of talos00 for talos02/ },
]

test.serial(
  'one control plane becomes three, one of them a worker before, though the run is killed three times',
  async (t) => {
    const ended = new AbortController()
    const hands = lendHands(cluster, ended.signal)
    const command = ['migrate:run', 'SCENARIO=C', joinNodes, 'REDUNDANCY_TEST=yes']
    for (const { name, what } of points) {
      const running = task(command)
      const pid = await Promise.race([
        killWhen(small, (records) => begun(records, what)),
        running.then(({ output }) => output),
      ])
      if (typeof pid === 'string') return t.fail(`the run ended before it was killed ${name}:\n${pid}`)
      await running
      t.log(`killed ${name}`)
    }
    const { exitCode, output } = await task(command)
    ended.abort()
    await hands
    t.is(exitCode, 0, output)
    t.regex(output, /Without talos0\d the API answered through the others; the longest gap was/)
    t.regex(output, /NOT highly available yet: the cluster endpoint/)
    t.regex(output, /3 voters, a quorum is 2, so 1 may fail/)
    await agreed(cluster, cluster.old, 3)
    t.deepEqual(await names(), ['talos00', 'talos01', 'talos02'])
  },
)

test.serial(
  'a fourth with foreign secrets is refused before anything is touched, and so is a machine of others',
  async (t) => {
    const fourth = await addWaiting(cluster, 'fourth', 58)
    const named = ['migrate:join', 'NODE=talos03', `IP=${fourth.hardware.address}`]
    // The evening before is over, and whoever joins has a backup first.
    const backup = await task(['migrate:backup', 'SCENARIO=C'])
    t.is(backup.exitCode, 0, backup.output)
    const foreign = await task([...named, `CONTROLPLANE_CONFIG=${foreignPath}`])
    t.is(foreign.exitCode, 1, foreign.output)
    t.regex(foreign.output, /comes from another secrets bundle than the cluster: Talos CA .*etcd CA/)
    t.is(fourth.timeline.at(-1)?.event, 'maintenance-ready', 'it waits as it did')

    await cluster.talosctl('apply-config', '--insecure', '--nodes', fourth.hardware.address, '--file', foreignPath)
    await fourth.waitFor('booted', { timeoutSeconds: 60 })
    const others = await task(named)
    t.is(others.exitCode, 1, others.output)
    t.regex(others.output, /refuses our talosconfig/)
    t.regex(others.output, /Nothing was changed/)
    t.deepEqual(await names(), ['talos00', 'talos01', 'talos02'])
    await fourth.cutPower()
  },
)

test.serial('talosconfig and kubeconfig know all three', async (t) => {
  const addresses = [...machines.values()].map(({ hardware }) => hardware.address)
  const talosconfig = parse(readFileSync(cluster.homelab.talosconfig, 'utf8'))
  t.deepEqual([...talosconfig.contexts[talosconfig.context].endpoints].sort(), addresses)
  const kubeconfig = parse(readFileSync(cluster.homelab.kubeconfig, 'utf8'))
  const servers = kubeconfig.clusters.map((each: { cluster: { server: string } }) => each.cluster.server)
  for (const address of addresses) t.true(servers.includes(`https://${address}:6443`), address)
  t.false(kubeconfig['current-context'].includes('.via-'), 'the endpoint is still what is used')
  const nodes = await withApi(cluster, third, (api) => api.list<Schedulable>('/api/v1/nodes'))
  t.deepEqual(
    nodes.map(({ spec }) => spec.unschedulable === true),
    [false, false, false],
    'the worker is uncordoned',
  )
})

interface Schedulable extends KubernetesObject {
  spec: { unschedulable?: boolean }
}

test.serial('each of the three may be killed, and the API takes writes through the others', async (t) => {
  for (const { node, against, gap } of await killInTurn(cluster, machines)) {
    t.deepEqual(against, [], node)
    t.log(`without ${node}: ${gap} s`)
  }
})

test.serial(
  'one of three is replaced: it leaves in order, which ends at two voters with exit code 1, and joins anew',
  async (t) => {
    const dry = await task(['migrate:leave', 'NODE=talos01', '--', '--dry-run'])
    t.is(dry.exitCode, 0, dry.output)
    t.regex(dry.output, /would Have talos01 leave etcd/)
    t.is((await names()).length, 3, 'a dry run changes nothing')
    const leaving = await task(['migrate:leave', 'NODE=talos01', '--', '--reset'])
    t.is(leaving.exitCode, 1, leaving.output)
    t.regex(
      leaving.output,
      /etcd now: 3 voters, a quorum is 2, so 1 may fail\. Without talos01: 2 voters, a quorum is 2, so none may fail/,
    )
    t.regex(leaving.output, /TWO voters/)
    t.deepEqual(await names(), ['talos00', 'talos02'])
    await second.waitUntilOff(60)
    const since = Date.now()
    second.powerOn()
    await second.waitFor('maintenance-ready', { timeoutSeconds: 60, since })
    await task(['migrate:backup', 'SCENARIO=C'])
    const joining = await task(['migrate:join', 'NODE=talos01', `IP=${second.hardware.address}`, 'REDUNDANCY_TEST=no'])
    t.is(joining.exitCode, 0, joining.output)
    t.regex(joining.output, /was not tested/)
    await agreed(cluster, cluster.old, 3)
  },
)

test.serial('a dead one is removed, and nobody leaves or joins against the quorum', async (t) => {
  await third.cutPower()
  const alone = await task(['migrate:leave', 'NODE=talos01'])
  t.is(alone.exitCode, 1, alone.output)
  t.regex(alone.output, /talos01 may not leave: etcd would lose its quorum/)
  t.regex(alone.output, /Of 3 voters 2 are well\. Without talos01 there are 2, whose quorum is 2, and 1 would be well/)
  const endpoint = await task(['migrate:leave', 'NODE=talos00'])
  t.is(endpoint.exitCode, 1, endpoint.output)
  const { exitCode, output } = await task(['migrate:leave', 'NODE=talos02'])
  t.is(exitCode, 1, output)
  t.regex(output, /TWO voters/)
  t.deepEqual(await names(), ['talos00', 'talos01'])
  const left = await withApi(cluster, cluster.old, (api) => api.getOrNull('/api/v1/nodes/talos02'))
  t.is(left, null)
  const again = await task(['migrate:join', 'NODE=talos01', `IP=${second.hardware.address}`])
  t.is(again.exitCode, 1, again.output)
  t.regex(again.output, /TWO voters/)
  t.deepEqual(await names(), ['talos00', 'talos01'], 'it was a member, and is one')
})

test.serial('a worker that has joined is a worker again after a rollback, and all is as it was', async (t) => {
  const worker = await addWorker(cluster, { name: 'fifth', host: 59, hostname: 'talos04' })
  const { address } = worker.hardware
  const { talosconfig, kubeconfig } = cluster.homelab
  const files = () => [talosconfig, kubeconfig].map((path) => readFileSync(path, 'utf8'))
  const before = files()
  // The run under way has taken machines out, which do not come back by themselves.
  const run = ['SCENARIO=C', `OUTPUT_DIR=${join(cluster.folder, 'another-run')}`]
  const backup = await task(['migrate:backup', ...run])
  t.is(backup.exitCode, 0, backup.output)
  const joining = await task(['migrate:join', 'NODE=talos04', `IP=${address}`, 'REDUNDANCY_TEST=no', ...run])
  t.is(joining.exitCode, 0, joining.output)
  t.deepEqual(await names(), ['talos00', 'talos01', 'talos04'])
  t.notDeepEqual(files(), before)

  const dry = await task(['migrate:rollback', ...run, '--', '--dry-run'])
  t.regex(dry.output, new RegExp(`The machine at ${address} \\(.*\\) leaves etcd in order, and is emptied`))
  const { exitCode, output } = await task(['migrate:rollback', ...run])
  t.is(exitCode, 0, output)
  t.deepEqual(await names(), ['talos00', 'talos01'])
  t.deepEqual(files(), before)
  const kind = await talosctlOn(cluster, worker, 'get', 'machinetype', '--output', 'jsonpath={.spec}')
  t.is(kind.trim(), 'worker')
  const node = await withApi(cluster, cluster.old, (api) => api.get<Schedulable>('/api/v1/nodes/talos04'))
  t.not(node.spec.unschedulable, true)
  t.false('node-role.kubernetes.io/control-plane' in (node.metadata.labels ?? {}))
})
