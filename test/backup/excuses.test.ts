import test from 'ava'
import { beginAnewUnlessExcused, idleExcuses, judgeMissing, provenStep, withExcuses } from '../../lib/backup/excuses.ts'
import { parseManifest, type UnreadableResource } from '../../lib/backup/manifest.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { runIn } from '../migration/run-in-folder.ts'
import { scratchFolder } from './keys.ts'

const metrics: UnreadableResource = { group: 'metrics.k8s.io', version: 'v1beta1', resource: '*', reason: 'dead' }
const widgets: UnreadableResource = { group: 'example.com', version: 'v1', resource: 'widgets', reason: 'webhook' }
const events: UnreadableResource = { group: '', version: 'v1', resource: 'events', reason: '403' }
const worker: UnreadableResource = {
  group: 'talos',
  version: 'v1alpha1',
  resource: 'machineconfig',
  name: 'worker2',
  reason: 'connection refused',
}
const all = [metrics, widgets, events, worker]

const excusedBy = (excuse: string) =>
  withExcuses(all, [excuse]).flatMap(({ excused, resource, group }) => (excused ? [`${resource}.${group}`] : []))

test('each spelling excuses just what it names', (t) => {
  for (const spelling of ['*.metrics.k8s.io', '*.v1beta1.metrics.k8s.io']) {
    t.deepEqual(excusedBy(spelling), ['*.metrics.k8s.io'], spelling)
  }
  for (const spelling of ['widgets.example.com', 'widgets.v1.example.com', '*.example.com']) {
    t.deepEqual(excusedBy(spelling), ['widgets.example.com'], spelling)
  }
  for (const spelling of ['events', 'events.v1']) t.deepEqual(excusedBy(spelling), ['events.'], spelling)
  for (const spelling of ['machineconfig.talos/worker2', 'machineconfig.talos', '*.talos']) {
    t.deepEqual(excusedBy(spelling), ['machineconfig.talos'], spelling)
  }
})

test('a near miss excuses nothing', (t) => {
  const misses = ['*', '', 'widgets', 'nodes.metrics.k8s.io', 'widgets.v2.example.com', 'machineconfig.talos/worker1']
  for (const miss of misses) t.deepEqual(excusedBy(miss), [], miss)
  t.deepEqual(idleExcuses(all, ['events', ...misses]), misses)
})

test('the manifest keeps what was excused, and the name of the one machine', (t) => {
  const manifest = {
    version: 1,
    content: 'backup',
    cluster: 'c',
    createdAt: '2026-11-24T12:00:00.000Z',
    recipients: [],
    files: [],
    resources: [],
    unreadable: withExcuses([metrics, worker], ['*.metrics.k8s.io']),
    identity: {},
    versions: {},
  }
  t.deepEqual(parseManifest(JSON.stringify(manifest), 'it').unreadable, [{ ...metrics, excused: true }, worker])
})

/** What a backup does, as far as it matters here: `taken` counts how often everything was read. */
function backup(unreadable: readonly UnreadableResource[], taken: { count: number }) {
  return async (migration: Migration) => {
    beginAnewUnlessExcused(migration)
    const folder = await migration.step('Read', async () => `backup-${++taken.count}`)
    await migration.step(provenStep, async () => migration.remember('backup', { folder }))
    await migration.step('Judge what is missing', () => judgeMissing(migration, folder, unreadable))
  }
}

test('what is missing ends the backup with 1, by name, reason and the very line to type', async (t) => {
  const { code, lines } = await runIn(await scratchFolder(t), 'backup', backup([metrics, worker], { count: 0 }), [], {
    BACKUP_EXCUSE: 'events',
  })
  t.is(code, 1)
  const said = lines.join('\n')
  t.regex(said, /Not in the backup: \*\.metrics\.k8s\.io \(dead\)/)
  t.regex(said, /Not in the backup: machineconfig\.talos\/worker2 \(connection refused\)/)
  t.regex(said, /BACKUP_EXCUSE='events,\*\.metrics\.k8s\.io,machineconfig\.talos\/worker2'/)
  t.regex(said, /BACKUP_EXCUSE has what is not missing: events/)
})

test('the same command with the excuse only judges again; it is done then', async (t) => {
  const folder = await scratchFolder(t)
  const taken = { count: 0 }
  const run = (more: Record<string, string>, args: string[] = []) =>
    runIn(folder, 'backup', backup([metrics], taken), args, more)
  t.is((await run({})).code, 1)
  const { code, lines } = await run({ BACKUP_EXCUSE: '*.metrics.k8s.io' })
  t.is(code, 0)
  t.is(taken.count, 1)
  t.regex(lines.join('\n'), /warn Not in the backup: \*\.metrics\.k8s\.io \(dead\), excused/)
  t.is((await run({ BACKUP_EXCUSE: '*.metrics.k8s.io' })).code, 0)
  t.is(taken.count, 2, 'and after that, another call is another backup')
})

test('what was excused stays so for whatever comes after the judgement', async (t) => {
  const folder = await scratchFolder(t)
  const taken = { count: 0 }
  const withMore = async (migration: Migration) => {
    await backup([metrics], taken)(migration)
    await migration.step('More', async () => {
      if (migration.settings.velero === 'auto') throw new OperatorError('Velero did not')
    })
  }
  t.is((await runIn(folder, 'backup', withMore)).code, 1)
  const excused = await runIn(folder, 'backup', withMore, [], { BACKUP_EXCUSE: '*.metrics.k8s.io' })
  t.regex(excused.lines.join('\n'), /error Velero did not/)
  t.is((await runIn(folder, 'backup', withMore, [], { VELERO: 'off' })).code, 0)
  t.is(taken.count, 1)
})

test('until it is done no drain begins', async (t) => {
  const folder = await scratchFolder(t)
  await runIn(folder, 'backup', backup([metrics], { count: 0 }))
  const drain = await runIn(folder, 'drain', async () => undefined)
  t.is(drain.code, 1)
  t.regex(drain.lines.join('\n'), /comes after migrate:backup.*backup is: failed/)
  await runIn(folder, 'backup', backup([metrics], { count: 0 }), [], { BACKUP_EXCUSE: '*.metrics.k8s.io' })
  t.is((await runIn(folder, 'drain', async () => undefined)).code, 0)
})

test('the same command without an excuse takes a new backup: what was wrong may have been mended', async (t) => {
  const folder = await scratchFolder(t)
  const taken = { count: 0 }
  t.is((await runIn(folder, 'backup', backup([metrics], taken))).code, 1)
  const mended = await runIn(folder, 'backup', backup([], taken))
  t.is(mended.code, 0)
  t.is(taken.count, 2)
  t.regex(mended.lines.join('\n'), /backup-1 lacks something that is not excused: a new backup is taken/)
})

test('one that was stopped before it was judged goes on, and is judged', async (t) => {
  const folder = await scratchFolder(t)
  const taken = { count: 0 }
  const stopped = async (migration: Migration) => {
    await migration.step('Read', async () => `backup-${++taken.count}`)
    await migration.step(provenStep, async () => migration.remember('backup', { folder: 'backup-1' }))
    throw new Error('stopped')
  }
  t.is((await runIn(folder, 'backup', stopped)).code, 1)
  t.is((await runIn(folder, 'backup', backup([metrics], taken))).code, 1)
  t.is(taken.count, 1)
})
