import { chmodSync, copyFileSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { pointTalosconfigs, undoTalosconfig } from '../../lib/talos/talosconfig-address.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const moves = [{ from: parseAddress('192.168.1.54', 'test'), to: parseAddress('192.168.1.60', 'test') }]
const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const { talosctl: binary } = await ensureBinaries({ progress: silent })

/** One that the real talosctl has written, with a context for each pair of lists. */
async function talosconfigWith(contexts: Record<string, { endpoints: string[]; nodes: string[] }>) {
  const path = join(temporaryFolder('talosconfig'), 'talosconfig')
  const keys = { ca: 'Y2E=', crt: 'Y3J0', key: 'a2V5' }
  const all = Object.fromEntries(Object.keys(contexts).map((name) => [name, keys]))
  writeFileSync(path, JSON.stringify({ context: Object.keys(contexts)[0], contexts: all }), { mode: 0o640 })
  chmodSync(path, 0o640)
  const talosctl = await Talosctl.open({ talosctl: binary, talosVersion: 'v1.11.1', talosconfig: path })
  for (const [context, { endpoints, nodes }] of Object.entries(contexts)) {
    const where = ['--talosconfig', path, '--context', context]
    await talosctl.local(['config', 'endpoint', ...endpoints, ...where])
    await talosctl.local(['config', 'node', ...nodes, ...where])
  }
  return { path, talosctl, contexts: () => parse(readFileSync(path, 'utf8')).contexts }
}

const several = {
  catalyst: { endpoints: ['192.168.1.54', '192.168.1.540', '10.0.0.1'], nodes: ['192.168.1.54'] },
  ports: { endpoints: ['192.168.1.54:50000', 'talos00'], nodes: ['192.168.1.55'] },
  merged: { endpoints: ['192.168.1.60', '192.168.1.54'], nodes: ['192.168.1.54', '192.168.1.60'] },
  other: { endpoints: ['192.168.1.154'], nodes: ['192.168.1.5'] },
}

test('every context that holds the old address gets the new one, and only entries that are it', async (t) => {
  const { path, talosctl, contexts } = await talosconfigWith(several)
  const { migration, lines } = testMigration()
  t.is(await pointTalosconfigs(migration, async () => talosctl, [path], moves), 3)
  const { catalyst, ports, merged, other } = contexts()
  t.deepEqual(catalyst.endpoints, ['192.168.1.60', '192.168.1.540', '10.0.0.1'])
  t.deepEqual(catalyst.nodes, ['192.168.1.60'])
  t.deepEqual(ports.endpoints, ['192.168.1.60:50000', 'talos00'])
  t.deepEqual(ports.nodes, ['192.168.1.55'])
  t.deepEqual(merged, { ...merged, endpoints: ['192.168.1.60'], nodes: ['192.168.1.60'] })
  t.deepEqual(other, { ...other, ...several.other })
  t.is(catalyst.key, 'a2V5')
  t.is(statSync(path).mode & 0o777, 0o640)
  t.is(lines.filter((line) => line.startsWith('change Point the context')).length, 3)
  t.false(lines.some((line) => line.startsWith('warn')))

  t.is(
    await pointTalosconfigs(migration, async () => talosctl, [path], moves),
    0,
    'a second time there is nothing to do',
  )
})

test('the undo of a talosconfig that talosctl has written is the identity', async (t) => {
  const { path, talosctl } = await talosconfigWith(several)
  const before = readFileSync(path, 'utf8')
  const { migration, journal } = testMigration()
  await pointTalosconfigs(migration, async () => talosctl, [path], moves)
  t.not(readFileSync(path, 'utf8'), before)
  const changes = journal.changes({ kind: 'talosconfig' })
  for (const change of changes.toReversed()) t.is(await undoTalosconfig(talosctl, migration.settings, change), 'undone')
  t.is(readFileSync(path, 'utf8'), before)
  for (const change of changes) t.is(await undoTalosconfig(talosctl, migration.settings, change), 'already')
})

test('what the operator has set in between is not undone', async (t) => {
  const { path, talosctl } = await talosconfigWith({ catalyst: several.catalyst, other: several.other })
  const { migration, journal } = testMigration()
  await pointTalosconfigs(migration, async () => talosctl, [path], moves)
  const [change] = journal.changes({ kind: 'talosconfig' })
  if (!change) return t.fail()
  await talosctl.local(['config', 'node', '10.1.1.1', '--talosconfig', path, '--context', 'catalyst'])
  t.regex(
    await undoTalosconfig(talosctl, migration.settings, change),
    /^conflict: the nodes of the context catalyst .* are 10\.1\.1\.1, not 192\.168\.1\.60$/,
  )
  writeFileSync(path, readFileSync(path, 'utf8').replace('    catalyst:', '    renamed:'))
  t.regex(
    await undoTalosconfig(talosctl, migration.settings, change),
    /^conflict: .* has no context catalyst any more$/,
  )
})

test('killed before or after the file was written, the same again comes out the same', async (t) => {
  const { path, talosctl } = await talosconfigWith({ catalyst: several.catalyst })
  const before = readFileSync(path, 'utf8')
  const first = testMigration()
  await pointTalosconfigs(first.migration, async () => talosctl, [path], moves)
  const after = readFileSync(path, 'utf8')
  const [change] = first.journal.changes()
  if (!change) return t.fail()

  const { journal } = testMigration()
  journal.beginChange(change)
  writeFileSync(path, before)
  await pointTalosconfigs(testMigration({}, { journal }).migration, async () => talosctl, [path], moves)
  t.is(readFileSync(path, 'utf8'), after)
  t.is(journal.changes().length, 1)
  await pointTalosconfigs(testMigration({}, { journal }).migration, async () => talosctl, [path], moves)
  t.is(readFileSync(path, 'utf8'), after)
})

test('a link to the homelab’s file is followed, and the file is edited once', async (t) => {
  const { path, talosctl, contexts } = await talosconfigWith({ catalyst: several.catalyst })
  const link = join(temporaryFolder('home'), 'config')
  symlinkSync(path, link)
  const { migration, journal } = testMigration()
  t.is(await pointTalosconfigs(migration, async () => talosctl, [link, path, '/nowhere/config'], moves), 1)
  t.true(statSync(link).isFile())
  t.is(journal.changes().length, 1)
  t.deepEqual(contexts().catalyst.nodes, ['192.168.1.60'])
})

test('a dry run names each context with its lists, and changes nothing', async (t) => {
  const { path, talosctl } = await talosconfigWith(several)
  const before = readFileSync(path, 'utf8')
  const { migration, lines } = testMigration({}, { dryRun: true })
  t.is(await pointTalosconfigs(migration, async () => talosctl, [path], moves), 3)
  t.is(readFileSync(path, 'utf8'), before)
  t.true(
    lines.includes(
      `change Point the context catalyst of ${path} at endpoints 192.168.1.60, 192.168.1.540, 10.0.0.1; nodes 192.168.1.60 would be made`,
    ),
    lines.join('\n'),
  )
})

test('comments, which talosctl does not keep, are warned of', async (t) => {
  const { path, talosctl } = await talosconfigWith({ catalyst: several.catalyst })
  writeFileSync(path, `# mine\n${readFileSync(path, 'utf8')}`)
  const { migration, lines } = testMigration()
  await pointTalosconfigs(migration, async () => talosctl, [path], moves)
  t.true(lines.some((line) => line.startsWith('warn The comments in')))
})

test('one that cannot be read stops it before any is changed, and nothing of it is repeated', async (t) => {
  const { path, talosctl } = await talosconfigWith({ catalyst: several.catalyst })
  const before = readFileSync(path, 'utf8')
  const broken = join(temporaryFolder('broken'), 'config')
  copyFileSync(path, broken)
  writeFileSync(broken, 'contexts: [very: secret')
  const { migration } = testMigration()
  const error = await t.throwsAsync(
    pointTalosconfigs(migration, async () => talosctl, [path, broken], moves),
    {
      instanceOf: OperatorError,
      message: `${broken} is not a usable talosconfig.`,
    },
  )
  t.regex(error?.next ?? '', /OPERATOR_TALOSCONFIG/)
  t.is(readFileSync(path, 'utf8'), before)
})
