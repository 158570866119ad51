import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import anyTest from 'ava'
import type { Migration } from '../../lib/migration/migration.ts'
import { type Address, parseAddress } from '../../lib/network/addresses.ts'
import { fenceNewMachine, staysFenced } from '../../lib/recovery/rollback/fence.ts'
import { bringOldMachineBack } from '../../lib/recovery/rollback/old-machine.ts'
import type { WayBack } from '../../lib/recovery/rollback/way-back.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'
import { type FakeTalosctl, fakeTalosctl } from '../talos/fake-talosctl.ts'

// One after the other: every phase listens for the signals of this process.
const test = anyTest.serial

// Nothing listens there: on loopback that is what a machine without power looks like.
const oldAddress = parseAddress('127.99.1.54', 'test')
const newAddress = parseAddress('127.99.1.60', 'test')
const old = { uuid: 'aaaaaaaa-0000-0000-0000-000000000001', macs: ['02:00:00:00:00:01'] }
const own = { uuid: 'bbbbbbbb-0000-0000-0000-000000000002', macs: ['02:00:00:00:00:02'] }
const third = { uuid: 'cccccccc-0000-0000-0000-000000000003', macs: ['02:00:00:00:00:03'] }
const at = (state: 'maintenance' | 'running', { uuid, macs }: typeof old) => `${state} ${uuid} ${macs[0]}` as const

function wayOver(address: Address): WayBack {
  return {
    changes: [],
    standAgain: [],
    goWithIt: [],
    joined: [],
    old: { address: oldAddress, identity: old },
    replacement: { address, identity: own },
    etcd: 'begun',
  }
}
const sameAddress = wayOver(oldAddress)
const otherAddress = wayOver(newAddress)

/** A rollback whose machines answer as the test says. */
async function inRollback(body: (migration: Migration, talosctl: Talosctl, fake: FakeTalosctl) => Promise<void>) {
  const folder = newFolder()
  const fake = await fakeTalosctl()
  const talosconfig = join(fake.folder, 'talosconfig')
  await writeFile(talosconfig, 'context: x\n')
  try {
    const talosctl = await Talosctl.open({ talosctl: fake.path, talosVersion: 'v1.11.1', talosconfig })
    // A rollback begins no run: something was done before it.
    await runIn(folder, 'backup', async () => {})
    const times = { MACHINE_TIMEOUT: '10', SHUTDOWN_TIMEOUT: '20', API_TIMEOUT: '1' }
    return await runIn(folder, 'rollback', (migration) => body(migration, talosctl, fake), [], times)
  } finally {
    await fake.remove()
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

const resets = async (fake: FakeTalosctl) => (await fake.calls()).filter((call) => call.startsWith('reset'))

test('a new machine that runs is reset, without leaving and without a restart, and seen off', async (t) => {
  const { code, lines } = await inRollback(async (migration, talosctl, fake) => {
    await fake.become(at('running', own))
    await fenceNewMachine(migration, talosctl, sameAddress)
    const [reset, ...more] = await resets(fake)
    t.regex(
      reset ?? '',
      /--graceful=false --reboot=false .*--system-labels-to-wipe STATE --system-labels-to-wipe EPHEMERAL/,
    )
    t.deepEqual(more, [])
  })
  t.is(code, 0, lines.join('\n'))
  t.true(lines.some((line) => line.includes('The new machine is reset and off')))
})

test('one that still answers when it was told, and is in maintenance mode when it is told again, is fenced', async (t) => {
  const { code, lines } = await inRollback(async (migration, talosctl, fake) => {
    await writeFile(join(fake.folder, 'resets-slowly'), '')
    await fake.become(at('running', own))
    await fenceNewMachine(migration, talosctl, sameAddress)
    t.is((await resets(fake)).length, 2)
  })
  t.is(code, 0, lines.join('\n'))
  t.true(lines.some((line) => line.includes('The new machine waits for a config')))
})

test('one that is silent is proven off; one that waits for a config has no etcd', async (t) => {
  const { code, lines } = await inRollback(async (migration, talosctl, fake) => {
    await fenceNewMachine(migration, talosctl, sameAddress)
    await fake.become(at('maintenance', own))
    await fenceNewMachine(migration, talosctl, otherAddress)
    t.deepEqual(await resets(fake), [])
  })
  t.is(code, 0, lines.join('\n'))
  t.true(lines.some((line) => line.includes('is off, and may hold the cluster on its disk')))
  t.true(lines.some((line) => line.includes('waits for a config')))
})

test('the old machine at the address of both is never reset, nor is one that nobody knows', async (t) => {
  const known = await inRollback(async (migration, talosctl, fake) => {
    await fake.become(at('running', old))
    await fenceNewMachine(migration, talosctl, sameAddress)
    t.deepEqual(await resets(fake), [])
  })
  t.is(known.code, 0, known.lines.join('\n'))
  for (const state of [at('running', third), 'foreign'] as const) {
    const unknown = await inRollback(async (migration, talosctl, fake) => {
      await fake.become(state)
      await fenceNewMachine(migration, talosctl, sameAddress).finally(async () => t.deepEqual(await resets(fake), []))
    })
    t.is(unknown.code, 1)
    t.true(unknown.lines.some((line) => line.includes('neither the old one nor the new one')))
  }
})

test('the old machine is not taken for back while the new one is alive, at its address or another one', async (t) => {
  for (const way of [sameAddress, otherAddress]) {
    const { code, lines } = await inRollback(async (migration, talosctl, fake) => {
      await fake.become(at('running', old), oldAddress)
      await fake.become(at('running', own), way.replacement?.address)
      await bringOldMachineBack(migration, talosctl, way)
    })
    t.is(code, 1)
    t.true(
      lines.some((line) => line.includes('The new machine is alive')),
      lines.join('\n'),
    )
  }
})

test('another machine at the address is not the old one: one in maintenance is waited for to go, one of a cluster is refused', async (t) => {
  const waiting = await inRollback(async (migration, talosctl, fake) => {
    await fake.become(at('maintenance', third))
    await bringOldMachineBack(migration, talosctl, sameAddress)
  })
  t.true(
    waiting.lines.some((line) => line.includes('not the old machine. Unplug it')),
    waiting.lines.join('\n'),
  )
  const refused = await inRollback(async (migration, talosctl, fake) => {
    await fake.become(at('running', third))
    await bringOldMachineBack(migration, talosctl, sameAddress)
  })
  t.true(refused.lines.some((line) => line.includes('is not the old one')))
})

test('a new machine that was switched on again at its own address is found before the rollback is called done', async (t) => {
  const { code, lines } = await inRollback(async (_, talosctl, fake) => {
    await staysFenced(talosctl, otherAddress)
    await fake.become(at('running', own), newAddress)
    await staysFenced(talosctl, sameAddress)
    await staysFenced(talosctl, otherAddress)
  })
  t.is(code, 1)
  t.true(lines.some((line) => line.includes('The new machine is alive at 127.99.1.60')))
})
