import { join } from 'node:path'
import test from 'ava'
import { PracticeMachine } from '../../../lib/rehearsal/practice-machine.ts'
import { eventually, must, openRunning } from './running.ts'
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
const otherAddress = () => practice().address.replace(/\d+$/, '55')

/** A second machine, on the next address of the practice network. */
function secondMachine(): PracticeMachine {
  const { cluster } = practice()
  const hardware = {
    ...cluster.old.hardware,
    name: 'second',
    uuid: '4c4c4544-0042-4d10-8051-000000000055',
    mac: '02:00:00:00:00:55',
    address: otherAddress(),
  }
  const surroundings = {
    folder: cluster.folder,
    neighbours: join(cluster.folder, 'discovery'),
    binaries: cluster.binaries,
  }
  const machine = new PracticeMachine(hardware, surroundings)
  cluster.machines.push(machine)
  return machine
}

async function etcdMembers(): Promise<string[]> {
  return (await must(practice(), 'etcd', 'members')).trim().split('\n').slice(1)
}

check('a machine with the same secrets joins etcd, is promoted, and becomes a ready node', async (t) => {
  const target = practice()
  const machine = secondMachine()
  machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds })
  const name = JSON.stringify({ machine: { network: { hostname: 'talos01' } } })
  const config = ['--file', target.controlplaneConfig ?? '', '--config-patch', name]
  const applied = await run(target.talosctlPath, ['apply-config', '--insecure', '--nodes', otherAddress(), ...config])
  t.is(applied.exitCode, 0, applied.text)
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

check('a graceful reset leaves etcd and discovery, and cordons the node', async (t) => {
  const target = practice()
  const through = ['--talosconfig', target.talosconfig, '--endpoints', target.address, '--nodes', otherAddress()]
  const reset = await run(target.talosctlPath, ['reset', ...through])
  t.is(reset.exitCode, 0, reset.text)
  t.is((await etcdMembers()).length, 1)
  await eventually('a discovery without it', async () =>
    (await must(target, 'get', 'members')).includes('talos01') ? undefined : true,
  )
  const health = await target.talosctl('health', '--wait-timeout', '3s', '--control-plane-nodes', target.address)
  t.not(health.exitCode, 0, 'its Node is still there')
  t.regex(health.text, /unexpected nodes|deadline/)
})
