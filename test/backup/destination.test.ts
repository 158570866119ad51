import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { estimateBackup, lookAtDestination, placeWarnings } from '../../lib/backup/destination.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { loadSettings } from '../../lib/settings.ts'
import type { Talosctl } from '../../lib/talos/talosctl.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { smallDisk } from '../small-disk.ts'
import { makeKeys, scratchFolder } from './keys.ts'
import { makeBackup } from './make-backup.ts'

/** The table of talosctl v1.11.1 for one machine. */
const status = (size: string) =>
  [
    'NODE           MEMBER             DB SIZE   IN USE            LEADER             RAFT INDEX   RAFT TERM   RAFT APPLIED INDEX   LEARNER   ERRORS',
    `192.168.1.54   93fcd2f4d2488edc   ${size.padEnd(9)} 1.2 MB (48.00%)   93fcd2f4d2488edc   1234         2           1234                 false     `,
  ].join('\n')
const talosctlOf = (size: string) =>
  ({ run: async () => ({ stdout: status(size), stderr: '' }) }) as unknown as Talosctl

async function homelab(t: ExecutionContext) {
  const folder = await scratchFolder(t)
  const { recipient } = await makeKeys(folder)
  mkdirSync(join(folder, 'homelab'))
  const environment = (more: Record<string, string> = {}) => ({
    HOMELAB_DIR: join(folder, 'homelab'),
    BACKUP_DIR: join(folder, 'backup'),
    MEMORY_DIR: '/dev/shm',
    ...more,
  })
  const look = async (size: string, more: Record<string, string> = {}) => {
    const { migration, lines } = testMigration(environment(more))
    return { estimate: await lookAtDestination(migration, talosctlOf(size)), lines }
  }
  const settings = (more: Record<string, string> = {}) => loadSettings({ CLUSTER: 'catalyst', ...environment(more) })
  return { folder, recipient, look, settings }
}

test("the newest whole backup of this cluster tells how much is needed, else etcd's database", async (t) => {
  const { folder, recipient, look, settings } = await homelab(t)
  t.deepEqual((await look('2.5 MB')).estimate, { bytes: 2_500_000, basis: "the size of etcd's database" })
  t.deepEqual((await look('983 kB')).estimate?.bytes, 983_000)
  t.is((await look('none')).estimate, undefined)
  const backupDir = join(folder, 'backup')
  const make = (day: number, noise: number, cluster = 'catalyst-cluster') =>
    makeBackup({ backupDir, recipient, at: new Date(Date.UTC(2025, 11, day)), noise, cluster })
  await make(1, 90_000)
  const newest = await make(2, 50_000)
  await make(3, 10_000, 'other')
  const estimate = await estimateBackup(settings(), 2_500_000)
  t.is(estimate?.basis, `the newest whole backup, ${basename(newest)}`)
  t.true((estimate?.bytes ?? 0) > 50_000 && (estimate?.bytes ?? 0) < 60_000)
})

test('a place where it may not fit is warned of, and not refused, for an estimate is a guess', async (t) => {
  const { look } = await homelab(t)
  const disk = smallDisk(t, '1m')
  const small = await look('2.5 MB', { BACKUP_DIR: join(disk.folder, 'new') })
  t.true(
    small.lines.some((line) =>
      /^warn 1\.0 MB are free in .*needs about 2\.5 MB, by the size of etcd's database: it may not fit/.test(line),
    ),
    small.lines.join('\n'),
  )
  const enough = await look('200 kB', { BACKUP_DIR: disk.folder })
  t.false(enough.lines.some((line) => line.includes('may not fit')))
})

test('where nothing at all is free it is refused, with what is needed', async (t) => {
  const { look } = await homelab(t)
  const disk = smallDisk(t, '64k')
  t.throws(() => writeFileSync(join(disk.folder, 'filler'), Buffer.alloc(100_000)), { message: /ENOSPC/ })
  const error = await t.throwsAsync(look('2.5 MB', { BACKUP_DIR: disk.folder }), { instanceOf: OperatorError })
  t.regex(error.what, /Nothing at all is free/)
  t.regex(error.means ?? '', /about 2\.5 MB/)
})

test("a MEMORY_DIR that cannot hold etcd's database is refused, one that just can is not", async (t) => {
  const { look } = await homelab(t)
  const { folder } = smallDisk(t, '1m')
  const error = await t.throwsAsync(look('2.5 MB', { MEMORY_DIR: folder }), { instanceOf: OperatorError })
  t.regex(error.what, /\(MEMORY_DIR\) is too small: 1\.0 MB are free, and the etcd snapshot has about 2\.5 MB/)
  t.regex(error.next ?? '', /remount,size=4M/)
  await t.notThrowsAsync(look('1.0 MB', { MEMORY_DIR: folder }))
})

test('a backup that is nowhere else is warned of, until it is on another disk or copied', async (t) => {
  const { settings } = await homelab(t)
  t.regex((await placeWarnings(settings())).join(), /not copied anywhere else.*BACKUP_COPY_TO is not set/)
  t.deepEqual(await placeWarnings(settings({ BACKUP_COPY_TO: 's3://bucket' })), [])
  t.deepEqual(await placeWarnings(settings({ BACKUP_DIR: smallDisk(t, '1m').folder })), [])
})

test('a clean task that would remove backups is warned of before the first byte', async (t) => {
  const { folder, look } = await homelab(t)
  writeFileSync(join(folder, 'homelab/Taskfile.yml'), 'tasks:\n  clean:\n    - rm -rf .output\n')
  const { lines } = await look('2.5 MB', { BACKUP_DIR: '.output/backup' })
  t.true(
    lines.some((line) =>
      /^warn task clean \(Taskfile\.yml:3\) removes BACKUP_DIR \(.*\), OUTPUT_DIR \(.*\): rm -rf \.output$/.test(line),
    ),
  )
})
