import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import anyTest from 'ava'
import { parseAddress } from '../../lib/network/addresses.ts'
import { refuseLoss } from '../../lib/recovery/rollback/loss.ts'
import type { WayBack } from '../../lib/recovery/rollback/way-back.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { newFolder, runIn } from '../migration/run-in-folder.ts'
import { fakeTalosctl } from '../talos/fake-talosctl.ts'

// One after the other: every phase listens for the signals of this process.
const test = anyTest.serial

const address = parseAddress('127.99.2.54', 'test')
const identity = { uuid: 'bbbbbbbb-0000-0000-0000-000000000002', macs: ['02:00:00:00:00:02'] }

/** What is said of a new machine that runs, and whose etcd does not. */
async function askedWithoutEtcd(etcd: WayBack['etcd'], flags: string[] = []) {
  const folder = newFolder()
  const fake = await fakeTalosctl()
  const talosconfig = join(fake.folder, 'talosconfig')
  await writeFile(talosconfig, 'context: x\n')
  await fake.become(`running ${identity.uuid} ${identity.macs[0]}`)
  try {
    const talosctl = await Talosctl.open({ talosctl: fake.path, talosVersion: 'v1.11.1', talosconfig })
    await runIn(folder, 'backup', async () => {})
    const empty = { changes: [], standAgain: [], goWithIt: [], joined: [], old: undefined }
    const way = { ...empty, replacement: { address, identity }, etcd }
    const { code, lines } = await runIn(folder, 'rollback', (migration) => refuseLoss(migration, talosctl, way), flags)
    return { code, said: lines.join('\n'), calls: await fake.calls() }
  } finally {
    await fake.remove()
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

test('an etcd that was never begun, for the run was killed before, has taken nothing, and no snapshot of it is asked for', async (t) => {
  const { code, said, calls } = await askedWithoutEtcd('maybe')
  t.is(code, 0, said)
  t.regex(said, /has taken no writes that the old one does not have/)
  t.false(calls.some((call) => call.startsWith('etcd snapshot')))
})

test('an etcd that was begun and does not run may have taken something: that is to be accepted', async (t) => {
  const { code, said, calls } = await askedWithoutEtcd('begun')
  t.is(code, 1, said)
  t.regex(said, /What going back would lose cannot be told/)
  t.regex(said, /--accept-loss/)
  t.false(calls.some((call) => call.startsWith('etcd snapshot')))
})

test('a dry run looks once and says what it sees', async (t) => {
  const { code, said } = await askedWithoutEtcd('begun', ['--dry-run'])
  t.is(code, 0, said)
  t.regex(said, /Its etcd does not run/)
})
