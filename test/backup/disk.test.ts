import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Archive } from '../../lib/backup/archive.ts'
import { beginBackup } from '../../lib/backup/begin.ts'
import { diskError } from '../../lib/backup/disk.ts'
import { encryptionTo } from '../../lib/backup/encryption.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { runIn } from '../migration/run-in-folder.ts'
import { smallDisk } from '../small-disk.ts'
import { makeKeys, scratchFolder } from './keys.ts'

const content = {
  content: 'backup' as const,
  cluster: 'catalyst-cluster',
  createdAt: '2025-12-04T12:00:00.000Z',
  resources: [],
  unreadable: [],
  identity: {},
  versions: {},
}

async function onSmallDisk(t: ExecutionContext, size: string) {
  const disk = smallDisk(t, size)
  const { recipient } = await makeKeys(await scratchFolder(t))
  const backupDir = join(disk.folder, 'backup')
  const archive = await Archive.begin(backupDir, 'catalyst-cluster-20251204T120000Z', encryptionTo([recipient]))
  archive.expected = { bytes: 5_000_000, basis: 'the newest whole backup, NAME' }
  return { disk, backupDir, archive }
}

/** More than one chunk, so that some of it gets there. */
async function* noise(chunks: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < chunks; n++) yield randomBytes(100_000)
}

test('a disk that fills up is an error with what was written, what is needed, and what is free, and there is no backup', async (t) => {
  const { backupDir, archive } = await onSmallDisk(t, '1m')
  const file = await archive.add('first.age', noise(2))
  const error = await t.throwsAsync(archive.add('resources/pods.core.v1.jsonl.gz.age', noise(20)), {
    instanceOf: OperatorError,
  })
  t.is(error.what, 'No room is left for the backup: pods.core.v1.jsonl.gz.age could not be written whole.')
  t.regex(
    error.means ?? '',
    /is full: (1\.0 MB|9\d\d kB) are written; about 5\.0 MB are needed in all, by the newest whole backup, NAME; \d+ kB are free/,
  )
  t.regex(error.next ?? '', /Free at least (3\.9|4\.\d) MB more there, or set BACKUP_DIR/)
  t.deepEqual(readdirSync(backupDir), [`${archive.name}.partial`])
  t.true(existsSync(await archive.finish({ ...content, files: [file] })), 'with room again it goes on')
})

test('without an estimate it says what it knows', async (t) => {
  const { archive } = await onSmallDisk(t, '1m')
  archive.expected = undefined
  const error = await t.throwsAsync(archive.add('a.age', noise(20)), { instanceOf: OperatorError })
  t.notRegex(error.means ?? '', /needed/)
  t.regex(error.next ?? '', /^Free some room there, or/)
})

test('a full disk at the last moment, when the manifest is written, leaves no backup', async (t) => {
  const { backupDir, archive } = await onSmallDisk(t, '300k')
  const first = await archive.add('first.age', noise(2))
  const many = Array.from({ length: 2000 }, (_, n) => ({ group: 'g', version: 'v1', resource: `r${n}`, count: 0 }))
  const error = await t.throwsAsync(archive.finish({ ...content, resources: many, files: [first] }), {
    instanceOf: OperatorError,
  })
  t.regex(error.what, /No room is left.*manifest\.json/)
  t.deepEqual(readdirSync(backupDir), [`${archive.name}.partial`])
})

test('a disk that turns read-only is called that, in any folder and when the backup is finished', async (t) => {
  const { disk, backupDir, archive } = await onSmallDisk(t, '4m')
  const file = await archive.add('a.json', Buffer.from('{}'))
  disk.makeReadOnly()
  for (const act of [
    () => archive.add('b.json', Buffer.from('{}')),
    () => archive.add('new/folder/b.json', Buffer.from('{}')),
    () => archive.finish({ ...content, files: [file] }),
  ]) {
    const error = await t.throwsAsync(act(), { instanceOf: OperatorError })
    t.regex(error.what, /has become read-only/)
  }
  t.deepEqual(readdirSync(backupDir), [`${archive.name}.partial`])
})

test('a NAS that is unmounted meanwhile is missed, and its empty mount point is not written to', async (t) => {
  const { disk, archive } = await onSmallDisk(t, '4m')
  const file = await archive.add('a.json', Buffer.from('{}'))
  disk.unmount()
  for (const act of [
    () => archive.add('b.json', Buffer.from('{}')),
    () => archive.add('new/folder/b.json', Buffer.from('{}')),
    () => archive.finish({ ...content, files: [file] }),
  ]) {
    const error = await t.throwsAsync(act(), { instanceOf: OperatorError })
    t.regex(error.what, /went away while the backup was written \(ENOENT\)/)
    t.regex(error.next ?? '', /Mount it again/)
  }
  t.deepEqual(readdirSync(disk.folder), [])
})

test('a folder in the way of a file, and what comes from elsewhere, are not blamed on the disk', async (t) => {
  const folder = await scratchFolder(t)
  const writing = { file: join(folder, 'x/file'), written: 0, expected: undefined }
  mkdirSync(join(folder, 'x'))
  const source = Object.assign(new Error('ENOENT: /dev/shm/etcd.snapshot'), {
    code: 'ENOENT',
    path: '/dev/shm/etcd.snapshot',
  })
  t.is(await diskError(source, writing), source)
  const network = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
  t.is(await diskError(network, writing), network)
  const bug = new TypeError('undefined is not a function')
  t.is(await diskError(bug, writing), bug)
})

test('errors of a NAS that does not answer, of a quota and of rights say what they are', async (t) => {
  const folder = await scratchFolder(t)
  const writing = { file: join(folder, 'file'), written: 1_200_000, expected: undefined }
  const told = async (code: string, syscall: string) => {
    const error = await diskError(Object.assign(new Error(code), { code, syscall }), writing)
    return error instanceof OperatorError ? `${error.what} ${error.means} ${error.next}` : 'not understood'
  }
  t.regex(await told('ESTALE', 'write'), /went away.*\(ESTALE\).*NAS/)
  t.regex(await told('EIO', 'fsync'), /went away.*\(EIO\)/)
  t.regex(await told('EDQUOT', 'write'), /No room is left.*Your quota of .*1\.2 MB are written/)
  const refused = Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'open', path: writing.file })
  t.regex(((await diskError(refused, writing)) as OperatorError).what, /may not be written \(EACCES\)/)
})

test('a disk that is full of the backup still takes the journal, so that the same command goes on', async (t) => {
  const disk = smallDisk(t, '1m')
  const { recipient } = await makeKeys(await scratchFolder(t))
  let chunks = 20
  const run = () =>
    runIn(
      disk.folder,
      'backup',
      async (migration) => {
        const { archive } = await beginBackup(migration)
        await migration.step('Write', async () => {
          await migration.change('write noise', { apply: () => archive.add('noise.age', noise(chunks)) })
        })
      },
      [],
      { AGE_RECIPIENTS: recipient },
    )
  const full = await run()
  t.is(full.code, 1)
  t.true(
    full.lines.some((line) => line.startsWith('error No room is left for the backup')),
    full.lines.join('\n'),
  )
  chunks = 2
  const again = await run()
  t.is(again.code, 0, again.lines.join('\n'))
  t.true(again.lines.some((line) => line.startsWith('step Begin the backup folder skipped')))
})
