import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parseAddress } from '../../../lib/network/addresses.ts'
import { loadSettings } from '../../../lib/settings.ts'
import { resetKind } from '../../../lib/talos/join/candidate.ts'
import { undoJoin } from '../../../lib/talos/join/leave.ts'
import { undoReset } from '../../../lib/talos/join/worker.ts'
import { Talosctl } from '../../../lib/talos/talosctl.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { type FakeState, fakeTalosctl } from '../fake-talosctl.ts'

const uuid = '4c4c4544-0042-4d10-8051-000000000002'
const mac = '02:00:00:00:00:02'
const identity = { uuid, macs: [mac] }
const address = '192.0.2.56'
const first = parseAddress('192.0.2.54', 'the test')
const reset = { kind: resetKind, node: 'talos02', address, config: '/run/worker-talos02.yaml.age', ...identity }

async function machine(t: ExecutionContext, state: FakeState) {
  const fake = await fakeTalosctl()
  t.teardown(() => fake.remove())
  await fake.become(state)
  const talosconfig = join(temporaryFolder('undo'), 'talosconfig')
  writeFileSync(talosconfig, 'context: home\n')
  const settings = loadSettings({ CLUSTER: 'catalyst', TALOSCTL: fake.path, TALOSCONFIG: talosconfig })
  return { fake, talosctl: await Talosctl.open(settings) }
}

const kept = async (path: string) => Buffer.from(`the config of ${path}\n`)

test('an emptied worker gets its own config back', async (t) => {
  const { fake, talosctl } = await machine(t, `maintenance ${uuid} ${mac}`)
  t.is(await undoReset(talosctl, reset, kept), 'undone')
  t.is(await fake.applied(), 'the config of /run/worker-talos02.yaml.age\n')
})

test('another machine in its place, and none, are left alone', async (t) => {
  const other = await machine(t, 'maintenance 4c4c4544-0042-4d10-8051-0000000000ff 02:00:00:00:00:ff')
  t.regex(await undoReset(other.talosctl, reset, kept), /^conflict: another machine waits/)
  t.is(await other.fake.applied(), null)
  const silent = await machine(t, 'silent')
  t.regex(await undoReset(silent.talosctl, reset, kept), /^conflict: Nothing listens/)
})

test('a machine that was emptied already has nothing to leave; a silent one and another one are left alone', async (t) => {
  const undo = { kind: 'machine-config', address, ...identity }
  const empty = await machine(t, `maintenance ${uuid} ${mac}`)
  t.is(await undoJoin(empty.talosctl, undo, [first]), 'already')
  const silent = await machine(t, 'silent')
  await silent.fake.become(`running ${uuid} 02:00:00:00:00:01`, first)
  const members = (...addresses: string[]) => {
    const rows = addresses.map(
      (each, id) => `${id}    talos0${id}    https://${each}:2380    https://${each}:2379    false`,
    )
    const table = ['ID   HOSTNAME   PEER URLS                  CLIENT URLS                LEARNER', ...rows].join('\n')
    writeFileSync(join(silent.fake.folder, 'members'), `${table}\n`)
  }
  members(first, address)
  t.regex(
    await undoJoin(silent.talosctl, undo, [first]),
    /^conflict: .*is a member of etcd still.*migrate:leave NODE=talos01/,
  )
  members(first)
  t.is(await undoJoin(silent.talosctl, undo, [first]), 'already', 'it is off, and has left before')
  const other = await machine(t, 'running 4c4c4544-0042-4d10-8051-0000000000ff 02:00:00:00:00:ff')
  t.regex(await undoJoin(other.talosctl, undo, [first]), /^conflict: /)
  t.false((await other.fake.calls()).some((call) => call.startsWith('reset')))
})
