import { mkdirSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { archiveName } from '../../lib/backup/archive.ts'
import { removeOldBackups } from '../../lib/backup/retention.ts'
import { verifyBackup } from '../../lib/backup/verify.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { seeded } from '../seeded.ts'
import { makeKeys, scratchFolder } from './keys.ts'
import { type BackupToMake, clusterUid, makeBackup } from './make-backup.ts'

const api = { get: async () => ({ metadata: { name: 'kube-system', uid: clusterUid } }) as never }
const day = (n: number) => new Date(Date.UTC(2025, 11, n, 20))

async function shelf(t: ExecutionContext) {
  const backupDir = join(await scratchFolder(t), 'b')
  mkdirSync(backupDir)
  const { recipient } = await makeKeys(backupDir, '.keys')
  const make = (n: number, more: Partial<BackupToMake> = {}) =>
    makeBackup({ backupDir, recipient, at: day(n), ...more })
  const keep = async (
    backupKeep: string,
    fresh: string | undefined,
    options: { dryRun?: boolean; goesBy?: string; more?: Record<string, string> } = {},
  ) => {
    const { migration, lines } = testMigration(
      { BACKUP_DIR: backupDir, BACKUP_KEEP: backupKeep, ...options.more },
      options,
    )
    if (options.goesBy) migration.remember('backup', { folder: options.goesBy })
    const result = await removeOldBackups(migration, api, fresh)
    return { lines, result }
  }
  const names = () =>
    readdirSync(backupDir)
      .filter((name) => !name.startsWith('.'))
      .sort()
  return { backupDir, make, keep, names }
}

const damage = (folder: string) => truncateSync(join(folder, 'baseline.json'), 1)

test('the newest BACKUP_KEEP whole ones stay, the new one among them', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2), await make(3), await make(4)]
  const { result, lines } = await keep('2', folders[3])
  t.deepEqual(names(), [basename(folders[2] ?? ''), basename(folders[3] ?? '')])
  t.deepEqual(result, { kept: 2, removed: [basename(folders[1] ?? ''), basename(folders[0] ?? '')] })
  t.true(lines.some((line) => line.startsWith(`change Remove the old backup ${folders[0]}`)))
})

test('without BACKUP_KEEP all stay', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2)]
  t.is((await keep('', folders[1])).result, null)
  t.is(names().length, 2)
})

test('a dry run prints what would go, the new backup counted, and nothing goes', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2)]
  const { lines } = await keep('2', undefined, { dryRun: true })
  t.deepEqual(lines, [`change Remove the old backup ${folders[0]} would be made`])
  t.is(names().length, 2)
})

test('a broken one is named, and neither counted nor removed', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2), await make(3), await make(4)]
  damage(folders[2] ?? '')
  damage(folders[0] ?? '')
  const { lines } = await keep('2', folders[3])
  t.is(names().length, 4, 'the second is the second whole one')
  t.true(
    lines.some(
      (line) =>
        line.startsWith('warn') &&
        line.includes(`${folders[2]} is not whole`) &&
        line.includes('baseline.json is cut off'),
    ),
  )
  await keep('1', folders[3])
  t.deepEqual(
    names(),
    [folders[0], folders[2], folders[3]].map((folder) => basename(folder ?? '')),
  )
})

test('one of this name without a readable manifest is named and left alone', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2)]
  writeFileSync(join(folders[0] ?? '', 'manifest.json'), '{')
  const { lines } = await keep('1', folders[1])
  t.is(names().length, 2)
  t.true(
    lines.some(
      (line) =>
        line.startsWith('warn') && line.includes('manifest.json is damaged') && line.includes('neither counted'),
    ),
  )
})

test("other clusters', final sets, unfinished ones and strangers are none of its business", async (t) => {
  const { backupDir, make, keep, names } = await shelf(t)
  await make(1, { uid: 'another cluster of the same name' })
  await make(2, { cluster: 'catalyst-cluster-2', uid: 'other' })
  await make(3, { content: 'final-snapshot' })
  mkdirSync(join(backupDir, `${archiveName('catalyst-cluster', day(4))}.partial`))
  mkdirSync(join(backupDir, 'photos'))
  writeFileSync(join(backupDir, 'notes.txt'), '')
  const before = names()
  const fresh = await make(9)
  const { lines } = await keep('1', fresh)
  t.deepEqual(names(), [...before, basename(fresh)].sort())
  t.deepEqual(lines, [])
})

test('one of this cluster under another name is found by its identity', async (t) => {
  const { make, keep, names } = await shelf(t)
  await make(1, { cluster: 'old-name' })
  const fresh = await make(2)
  await keep('1', fresh)
  t.deepEqual(names(), [basename(fresh)])
})

test('the backup that the run goes by stays, however old it is', async (t) => {
  const { make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2), await make(3)]
  await keep('1', folders[2], { goesBy: folders[0] as string })
  t.deepEqual(names(), [basename(folders[0] ?? ''), basename(folders[2] ?? '')])
})

test('after a backup that had to leave something out, nothing is removed', async (t) => {
  const { make, keep, names } = await shelf(t)
  await make(1)
  const unreadable = [{ group: 'dead.example.com', version: 'v1', resource: '*', reason: '503' }]
  const fresh = await make(2, { unreadable })
  const { lines } = await keep('1', fresh)
  t.is(names().length, 2)
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('complete')))
})

test('what is missing and excused is no reason to keep all', async (t) => {
  const { make, keep, names } = await shelf(t)
  await make(1)
  const fresh = await make(2, {
    unreadable: [{ group: 'dead.example.com', version: 'v1', resource: 'x', reason: '503' }],
  })
  await keep('1', fresh, { more: { BACKUP_EXCUSE: 'x.dead.example.com' } })
  t.deepEqual(names(), [basename(fresh)])
})

test('a removal that was killed is no backup, and the next run finishes it', async (t) => {
  const { backupDir, make, keep, names } = await shelf(t)
  const folders = [await make(1), await make(2)]
  renameSync(folders[0] ?? '', `${folders[0]}.removing`)
  rmSync(join(`${folders[0]}.removing`, 'baseline.json'))
  const foreign = join(backupDir, `${archiveName('other', day(1))}.removing`)
  mkdirSync(foreign)
  const dry = await keep('', undefined, { dryRun: true })
  t.deepEqual(dry.lines, [`change Finish removing the old backup ${folders[0]}.removing would be made`])
  await keep('', folders[1])
  t.deepEqual(names(), [basename(folders[1] ?? ''), basename(foreign)].sort())
})

type Kind = 'whole' | 'broken' | 'partial' | 'foreign' | 'final'

test('whatever lies there, just the whole ones of this cluster that are older than the newest BACKUP_KEEP go', async (t) => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = seeded(seed)
    const { backupDir, make, keep, names } = await shelf(t)
    const made: { folder: string; kind: Kind }[] = []
    for (let n = 1; n <= 3 + Math.floor(random() * 7); n++) {
      const kind =
        (['whole', 'whole', 'broken', 'partial', 'foreign', 'final'] as const)[Math.floor(random() * 6)] ?? 'whole'
      const more = { foreign: { uid: `foreign-${n}` }, final: { content: 'final-snapshot' as const } }
      let folder = await make(n, kind === 'foreign' || kind === 'final' ? more[kind] : {})
      if (kind === 'broken') damage(folder)
      if (kind === 'partial') {
        renameSync(folder, `${folder}.partial`)
        folder = `${folder}.partial`
      }
      made.push({ folder, kind })
    }
    const fresh = await make(20)
    const count = 1 + Math.floor(random() * 4)
    await keep(String(count), fresh)
    const whole = [...made.filter(({ kind }) => kind === 'whole').map(({ folder }) => folder), fresh]
    const stay = new Set([
      ...whole.slice(-count),
      ...made.filter(({ kind }) => kind !== 'whole').map(({ folder }) => folder),
    ])
    t.deepEqual(
      names().map((name) => join(backupDir, name)),
      [...stay].sort(),
      `seed ${seed}, BACKUP_KEEP=${count}: ${made.map(({ kind }) => kind)}`,
    )
    t.deepEqual((await verifyBackup(fresh)).problems, [])
  }
})
