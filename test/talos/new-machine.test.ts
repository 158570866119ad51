import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { describeMachine, sameMachine } from '../../lib/talos/identity.ts'
import { parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { lookAtMachine } from '../../lib/talos/maintenance.ts'
import { applyConfig, machineRuns, newMachineThere, oldMachineStaysOff } from '../../lib/talos/new-machine.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'
import { type FakeTalosctl, fakeTalosctl } from './fake-talosctl.ts'

const address = parseAddress('192.0.2.10', 'test')
const oldAddress = parseAddress('192.0.2.9', 'test')
const old = { uuid: 'aaaaaaaa-0000-0000-0000-000000000001', macs: ['02:00:00:00:00:01'] }
const own = { uuid: 'bbbbbbbb-0000-0000-0000-000000000002', macs: ['02:00:00:00:00:02'] }
const at = (state: 'maintenance' | 'running', { uuid, macs }: typeof old) => `${state} ${uuid} ${macs[0]}` as const
const text = await readFile(new URL('fixtures/controlplane.yaml', import.meta.url), 'utf8')
const config = parseMachineConfig(text, 'controlplane.yaml')

/** A run of provision in which the old machine is known, with a talosctl that answers as the test says. */
async function inProvision(body: (migration: Migration, talosctl: Talosctl, fake: FakeTalosctl) => Promise<void>) {
  const folder = newFolder()
  const fake = await fakeTalosctl()
  const talosconfig = join(fake.folder, 'talosconfig')
  await writeFile(talosconfig, 'context: x\n')
  try {
    const settings = { talosctl: fake.path, talosVersion: 'v1.11.1', talosconfig }
    const talosctl = await Talosctl.open(settings)
    const run = async (migration: Migration) => {
      migration.remember('old-machine', { ...old, bootId: 'x' })
      await body(migration, talosctl, fake)
    }
    return await runIn(folder, 'provision', run, [], {
      SNAPSHOT: '/dev/null',
      TALOSCONFIG: talosconfig,
      MACHINE_TIMEOUT: '1',
    })
  } finally {
    await fake.remove()
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

test('silence, maintenance mode, a machine of ours and one of others are told apart', async (t) => {
  await inProvision(async (_, talosctl, fake) => {
    t.is((await lookAtMachine(talosctl, address)).state, 'silent')
    await fake.become(at('maintenance', own))
    t.like(await lookAtMachine(talosctl, address), { state: 'maintenance', identity: own })
    await fake.become(at('running', old))
    t.like(await lookAtMachine(talosctl, address), { state: 'running', identity: old, stage: 'running' })
    await fake.become('foreign')
    t.is((await lookAtMachine(talosctl, address)).state, 'foreign')
  })
})

test('a machine that runs, and breaks off before it has said that it wants a certificate, is not taken for silent', async (t) => {
  await inProvision(async (_, talosctl, fake) => {
    await writeFile(join(fake.folder, 'breaks-off'), '')
    await fake.become(at('running', old))
    t.like(await lookAtMachine(talosctl, address), { state: 'running', identity: old })
    await rm(join(fake.folder, 'breaks-off'))
  })
})

test('a machine in maintenance mode is remembered and gets the config through standard input', async (t) => {
  const { code } = await inProvision(async (migration, talosctl, fake) => {
    await fake.become(at('maintenance', own))
    const found = await migration.wait(newMachineThere(migration, talosctl, address, config))
    t.deepEqual(migration.journal.fact('new-machine'), own)
    await applyConfig(migration, talosctl, address, found, config)
    t.is(await fake.applied(), text)
    t.false((await fake.calls()).join('\n').includes('secretbox'))
    t.deepEqual(await migration.wait(machineRuns(talosctl, address, own, 1)), own)
  })
  t.is(code, 0)
})

test('applying again leaves a machine alone that has its config', async (t) => {
  await inProvision(async (migration, talosctl, fake) => {
    migration.remember('new-machine', own)
    await fake.become(at('running', own))
    const found = await migration.wait(newMachineThere(migration, talosctl, address, config))
    await applyConfig(migration, talosctl, address, found, config)
    t.is(await fake.applied(), null)
  })
})

test('the old machine alive ends the wait at once, and nothing is applied', async (t) => {
  const { code, lines } = await inProvision(async (migration, talosctl, fake) => {
    await fake.become(at('running', old))
    await t.throwsAsync(migration.wait(newMachineThere(migration, talosctl, address, config)), {
      instanceOf: OperatorError,
      message: /old machine is still alive at 192\.0\.2\.10/,
    })
    t.is(await fake.applied(), null)
    await migration.wait(newMachineThere(migration, talosctl, address, config))
  })
  t.is(code, 1)
  t.true(lines.some((line) => line.includes('must never run at once')))
})

test('a configured machine, of this cluster or another, is not waited for', async (t) => {
  await inProvision(async (migration, talosctl, fake) => {
    const there = () => migration.wait(newMachineThere(migration, talosctl, address, config))
    for (const state of ['foreign', at('running', own)] as const) {
      await fake.become(state)
      await t.throwsAsync(there(), { instanceOf: OperatorError, message: /not in maintenance mode/ }, state)
    }
  })
})

test('silence is waited for, and told at the end', async (t) => {
  await inProvision(async (migration, talosctl) => {
    const error = await t.throwsAsync(migration.wait(newMachineThere(migration, talosctl, address, config)), {
      instanceOf: OperatorError,
    })
    t.regex(error?.means ?? '', /Nothing listens on 192\.0\.2\.10:50000/)
  })
})

test('with a new address, an old machine that came back at the old one is found', async (t) => {
  await inProvision(async (migration, talosctl, fake) => {
    await migration.wait(oldMachineStaysOff(migration, talosctl, oldAddress, address))
    await fake.become(at('running', old))
    await t.throwsAsync(migration.wait(oldMachineStaysOff(migration, talosctl, oldAddress, address)), {
      message: /still alive at 192\.0\.2\.9/,
    })
    await migration.wait(oldMachineStaysOff(migration, talosctl, address, address))
  })
})

test('another machine than the chosen one gets no config', async (t) => {
  await inProvision(async (migration, talosctl, fake) => {
    await fake.become(at('maintenance', old))
    await t.throwsAsync(applyConfig(migration, talosctl, address, own, config), {
      message: /Another machine than the chosen one/,
    })
    t.is(await fake.applied(), null)
  })
})

test('machines are the same by UUID and cards together', (t) => {
  t.true(sameMachine(own, { ...own, macs: [...own.macs, '02:00:00:00:00:99'] }))
  t.true(sameMachine(own, { ...own, macs: [] }))
  // Cheap boards share one UUID; a USB card goes along to the next machine.
  t.false(sameMachine(own, { ...own, macs: ['02:00:00:00:00:77'] }))
  t.false(sameMachine(own, { ...old, macs: own.macs }))
  t.true(sameMachine({ uuid: null, macs: own.macs }, own))
  t.is(describeMachine(own), `uuid ${own.uuid}, 02:00:00:00:00:02`)
})
