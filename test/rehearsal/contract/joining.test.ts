import { join } from 'node:path'
import test from 'ava'
import { PracticeMachine } from '../../../lib/rehearsal/practice-machine.ts'
import { eventually, must, openRunning, withApi } from './running.ts'
import { isReal, type PracticeTarget, run } from './target.ts'

// A machine that joins changes the cluster: never a real one.
const check = isReal ? test.serial.skip : test.serial
const opened = isReal ? null : await openRunning()

test.after.always(() => opened?.close())

function practice(): PracticeTarget {
  if (!opened) throw new Error('these tests are for practice machines')
  return opened
}

const withinSeconds = 60
const addressOf = (host: number) => practice().address.replace(/\d+$/, String(host))
const otherAddress = () => addressOf(55)
const workerAddress = () => addressOf(56)

/** Another machine, on an address of its own of the practice network. It waits for a config. */
async function anotherMachine(name: string, host: number): Promise<PracticeMachine> {
  const { cluster } = practice()
  const hardware = {
    ...cluster.old.hardware,
    name,
    uuid: `4c4c4544-0042-4d10-8051-0000000000${host}`,
    mac: `02:00:00:00:00:${host}`,
    address: addressOf(host),
  }
  const surroundings = {
    folder: cluster.folder,
    neighbours: join(cluster.folder, 'discovery'),
    binaries: cluster.binaries,
  }
  const machine = new PracticeMachine(hardware, surroundings)
  cluster.machines.push(machine)
  machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds })
  return machine
}

/** Gives a config, with this hostname, to a machine in maintenance mode. */
async function applyTo(address: string, config: string, hostname: string): Promise<void> {
  const patch = JSON.stringify({ machine: { network: { hostname } } })
  const args = ['apply-config', '--insecure', '--nodes', address, '--file', config, '--config-patch', patch]
  const applied = await run(practice().talosctlPath, args)
  if (applied.exitCode !== 0) throw new Error(applied.text)
}

/** A worker's config with the secrets of the practice homelab. @returns its path */
async function workerConfig(): Promise<string> {
  const { talosctlPath, cluster, address, folder } = practice()
  const path = join(folder, 'worker.yaml')
  const secrets = ['--with-secrets', join(cluster.homelab.folder, 'configs/secrets.yaml')]
  const output = ['--output-types', 'worker', '--output', path]
  const clusterName = ['catalyst-cluster', `https://${address}:6443`]
  const made = await run(talosctlPath, ['gen', 'config', ...clusterName, ...secrets, ...output])
  if (made.exitCode !== 0) throw new Error(made.text)
  return path
}

async function etcdMembers(): Promise<string[]> {
  return (await must(practice(), 'etcd', 'members')).trim().split('\n').slice(1)
}

check('a machine with the same secrets joins etcd, is promoted, and becomes a ready node', async (t) => {
  const target = practice()
  const machine = await anotherMachine('second', 55)
  await applyTo(otherAddress(), target.cluster.homelab.controlplaneConfig, 'talos01')
  await machine.waitFor('node-ready', { timeoutSeconds: withinSeconds })
  const members = await etcdMembers()
  t.is(members.length, 2)
  t.true(
    members.every((line) => line.trim().endsWith('false')),
    'no learner is left',
  )
})

check('discovery and health know both machines, and either answers for the other', async (t) => {
  const target = practice()
  const found = await must(target, 'get', 'members')
  for (const expected of ['talos00', 'talos01', otherAddress()]) t.true(found.includes(expected), found)
  for (const server of ['true', 'false']) {
    const health = await target.talosctl('health', `--server=${server}`, '--wait-timeout', '60s')
    t.is(health.exitCode, 0, health.text)
  }
  const through = ['--talosconfig', target.talosconfig, '--endpoints', target.address, '--nodes', otherAddress()]
  const hostname = await run(target.talosctlPath, ['get', 'hostname', ...through])
  t.regex(hostname.stdout, /talos01/)
})

check('a worker has its certificates signed by the control plane, and becomes a ready node without etcd', async (t) => {
  const target = practice()
  await anotherMachine('worker', 56)
  await applyTo(workerAddress(), await workerConfig(), 'worker00')
  const health = await eventually('a healthy cluster with the worker', async () => {
    if (!(await must(target, 'get', 'members')).includes(workerAddress())) return undefined
    const answer = await target.talosctl('health', '--wait-timeout', '20s')
    return answer.exitCode === 0 ? answer : undefined
  })
  t.true(health.text.includes(workerAddress()))
  t.is((await etcdMembers()).length, 2)
  const nodes = await withApi(target, (api) => api.list('/api/v1/nodes'))
  const worker = nodes.find((node) => node.metadata.name === 'worker00')
  t.is(worker?.metadata.labels?.['node-role.kubernetes.io/control-plane'], undefined)
})

check('KubePrism of every machine, workers too, balances over both control planes', async (t) => {
  const { talosctlPath, talosconfig, address } = practice()
  for (const asked of [address, otherAddress(), workerAddress()]) {
    const through = ['--talosconfig', talosconfig, '--endpoints', address, '--nodes', asked]
    await eventually(`KubePrism on ${asked} with both`, async () => {
      const { stdout } = await run(talosctlPath, ['get', 'kubeprismendpoints', '--output', 'yaml', ...through])
      return [address, otherAddress()].every((host) => stdout.includes(`host: ${host}`)) ? true : undefined
    })
  }
  t.pass()
})

/** The id of the member that leads, as that of one machine's etcd tells it. */
async function leader(): Promise<string | undefined> {
  const [, row = ''] = (await must(practice(), 'etcd', 'status')).trim().split('\n')
  return row.match(/\b[0-9a-f]{16}\b/g)?.[1]
}

check(
  'a leader hands the leadership over when it is told to, and one that does not lead has nothing to hand over',
  async (t) => {
    const target = practice()
    const before = await leader()
    const first = await must(target, 'get', 'etcdmembers', '--output', 'json')
    const leads = first.includes(before ?? 'nobody') ? target.address : otherAddress()
    const through = ['--talosconfig', target.talosconfig, '--endpoints', leads, '--nodes', leads]
    const forfeited = await run(target.talosctlPath, ['etcd', 'forfeit-leadership', ...through])
    t.is(forfeited.exitCode, 0, forfeited.text)
    const after = await eventually('another leader', async () => {
      const now = await leader()
      return now === before || /^0*$/.test(now ?? '') ? undefined : now
    })
    t.not(after, before)
  },
)

check('a graceful reset leaves etcd and discovery, and cordons the node', async (t) => {
  const target = practice()
  const through = ['--talosconfig', target.talosconfig, '--endpoints', target.address, '--nodes', otherAddress()]
  const reset = await run(target.talosctlPath, ['reset', ...through])
  t.is(reset.exitCode, 0, reset.text)
  t.is((await etcdMembers()).length, 1)
  await eventually('a discovery without it', async () =>
    (await must(target, 'get', 'members')).includes('talos01') ? undefined : true,
  )
  const rest = ['--control-plane-nodes', target.address, '--worker-nodes', workerAddress()]
  const health = await target.talosctl('health', '--wait-timeout', '3s', ...rest)
  t.not(health.exitCode, 0, 'its Node is still there')
  t.regex(health.text, /unexpected nodes|deadline/)
})

check('a machine that was emptied joins again, leaves when it is told to, and is a member no more', async (t) => {
  const target = practice()
  const machine = target.cluster.machines.find(({ hardware }) => hardware.address === otherAddress())
  if (!machine) return t.fail()
  await machine.waitUntilOff(withinSeconds)
  const since = Date.now()
  machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds, since })
  await applyTo(otherAddress(), target.cluster.homelab.controlplaneConfig, 'talos01')
  await machine.waitFor('node-ready', { timeoutSeconds: withinSeconds, since })
  t.is((await etcdMembers()).length, 2)
  const through = ['--talosconfig', target.talosconfig, '--endpoints', otherAddress(), '--nodes', otherAddress()]
  const left = await run(target.talosctlPath, ['etcd', 'leave', ...through])
  t.is(left.exitCode, 0, left.text)
  t.is((await etcdMembers()).length, 1)
  const service = await run(target.talosctlPath, ['service', 'etcd', ...through])
  t.regex(service.stdout, /STATE\s+Finished/)
})
