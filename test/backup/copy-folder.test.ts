import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { copyBackup, copySource } from '../../lib/backup/copy.ts'
import { folderPlace } from '../../lib/backup/copy-folder.ts'
import { verifyBackup } from '../../lib/backup/verify.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { smallDisk } from '../small-disk.ts'
import { makeKeys, scratchFolder } from './keys.ts'
import { makeBackup } from './make-backup.ts'

const silent = () => undefined

async function prepare(t: ExecutionContext, noise = 300_000) {
  const scratch = await scratchFolder(t)
  const backupDir = join(scratch, 'b')
  const nas = join(scratch, 'nas')
  mkdirSync(nas)
  const { recipient } = await makeKeys(scratch)
  const folder = await makeBackup({ backupDir, recipient, at: new Date('2025-12-04T20:00:00Z'), noise })
  return { backupDir, nas, folder, source: await copySource(folder), place: folderPlace(nas, backupDir) }
}

const contentOf = (folder: string) =>
  Object.fromEntries(
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((path) => statSync(join(folder, path)).isFile())
      .map((path) => [path, readFileSync(join(folder, path)).toString('base64')]),
  )

test('a copy is a whole backup of the same bytes, readable by its owner only', async (t) => {
  const { nas, folder, source, place } = await prepare(t)
  await place.take(source, silent)
  const copy = join(nas, basename(folder))
  t.deepEqual(readdirSync(nas), [basename(folder)])
  t.deepEqual(contentOf(copy), contentOf(folder))
  t.deepEqual((await verifyBackup(copy)).problems, [])
  t.is(statSync(copy).mode & 0o077, 0)
  t.is(statSync(join(copy, 'manifest.json')).mode & 0o077, 0)
  t.is(source.files.at(-1)?.path, 'manifest.json')
})

test('a copy that is interrupted at any file is none, and is taken up again without copying all anew', async (t) => {
  const { backupDir, nas, folder, source } = await prepare(t)
  const files = source.files.length
  for (let stop = 0; stop < files * 2; stop++) {
    const shelf = join(nas, String(stop))
    mkdirSync(shelf)
    const place = folderPlace(shelf, backupDir)
    let told = 0
    const killed = place.take(source, () => {
      if (told++ === stop) throw new Error('killed')
    })
    await t.throwsAsync(killed, { message: 'killed' })
    t.deepEqual(readdirSync(shelf), [`${basename(folder)}.partial`], `stopped at ${stop}`)
    const again: string[] = []
    await place.take(source, (path) => again.push(path))
    t.is(again.length, files + Math.max(0, files - stop), `stopped at ${stop}`)
    t.deepEqual(contentOf(join(shelf, basename(folder))), contentOf(folder))
  }
})

test('a copy that is there already is read back and left as it is', async (t) => {
  const { nas, folder, source, place } = await prepare(t)
  await place.take(source, silent)
  await place.take(source, silent)
  const file = join(nas, basename(folder), 'baseline.json')
  writeFileSync(file, '[]\n')
  const error = await t.throwsAsync(place.take(source, silent), { instanceOf: OperatorError })
  t.regex(error.what, /baseline\.json is not what was copied/)
  t.regex(error.next ?? '', /never written over/)
  t.is(readFileSync(file, 'utf8'), '[]\n')
})

test('what a broken disk made of an unfinished copy is found, and written anew by the next call', async (t) => {
  const { nas, folder, source, place } = await prepare(t)
  const damaged = join(nas, `${basename(folder)}.partial`, 'noise.age')
  let once = true
  const first = place.take(source, (path) => {
    if (!path.startsWith('reading back') || !once) return
    once = false
    const bytes = readFileSync(damaged)
    bytes[1000] = (bytes[1000] ?? 0) ^ 1
    writeFileSync(damaged, bytes)
  })
  await t.throwsAsync(first, { instanceOf: OperatorError, message: /noise\.age is not what was copied/ })
  t.false(existsSync(join(nas, basename(folder))))
  await place.take(source, silent)
  t.deepEqual(contentOf(join(nas, basename(folder))), contentOf(folder))
})

test('a backup that has changed since it was read back is not copied', async (t) => {
  const { nas, folder, source, place } = await prepare(t)
  truncateSync(join(folder, 'baseline.json'), 1)
  const error = await t.throwsAsync(place.take(source, silent), { instanceOf: OperatorError })
  t.regex(error.what, /baseline\.json has changed/)
  t.false(existsSync(join(nas, basename(folder))))
})

test('a folder that is missing is never made, for then its NAS is missing', async (t) => {
  const { backupDir, nas } = await prepare(t)
  const missing = join(nas, 'not/mounted')
  const error = await t.throwsAsync(folderPlace(missing, backupDir).look(), { instanceOf: OperatorError })
  t.regex(error.what, /There is no folder .*not\/mounted \(BACKUP_COPY_TO\)/)
  t.false(existsSync(missing))
})

test('a folder on the disk of BACKUP_DIR is warned of, one on another disk is not', async (t) => {
  const { backupDir, place } = await prepare(t)
  t.regex((await place.look()).join(), /on the same disk as BACKUP_DIR/)
  t.deepEqual(await folderPlace(smallDisk(t, '1m').folder, backupDir).look(), [])
})

test('a second place that is full says what is there, what is needed and what is free; with room the same command goes on', async (t) => {
  const { backupDir, source } = await prepare(t, 3_000_000)
  const disk = smallDisk(t, '1m')
  const error = await t.throwsAsync(folderPlace(disk.folder, backupDir).take(source, silent), {
    instanceOf: OperatorError,
  })
  t.regex(error.what, /failed: its disk is full/)
  t.regex(error.means ?? '', /^1\.0 MB of 3\.0 MB are there, 0 kB are free\. The backup .* is whole/)
  t.regex(error.next ?? '', /Free at least 2\.0 MB there/)
  t.deepEqual(readdirSync(disk.folder), [`${source.name}.partial`])
})

test('a second place that turns read-only leaves the backup whole, and says so', async (t) => {
  const { backupDir, folder, source } = await prepare(t)
  const disk = smallDisk(t, '4m')
  disk.makeReadOnly()
  const place = folderPlace(disk.folder, backupDir)
  t.regex((await t.throwsAsync(place.look(), { instanceOf: OperatorError })).what, /cannot be written to: EROFS/)
  const error = await t.throwsAsync(place.take(source, silent), { instanceOf: OperatorError })
  t.regex(error.what, /failed: it is read-only/)
  t.regex(error.means ?? '', new RegExp(`The backup ${folder} is whole`))
})

test('a dry run looks at the place, says what it would do, and copies nothing', async (t) => {
  const { nas, folder, backupDir } = await prepare(t)
  const { migration, lines } = testMigration({ BACKUP_DIR: backupDir }, { dryRun: true })
  t.is(await copyBackup(migration, nas, undefined), null)
  t.true(lines.includes(`change Copy the backup to ${nas} and read the copy back would be made`))
  t.deepEqual(readdirSync(nas), [])
  t.true(existsSync(folder))
})
