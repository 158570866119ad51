import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Archive, archiveName, plainContent, storedContent, unfinished } from '../../lib/backup/archive.ts'
import { decryptionFrom, encryptionTo } from '../../lib/backup/encryption.ts'
import { readManifest } from '../../lib/backup/manifest.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { chunksOf, makeKeys, scratchFolder, whole } from './keys.ts'

const content = {
  content: 'backup',
  cluster: 'catalyst-cluster',
  createdAt: '2025-12-04T12:00:00.000Z',
  resources: [],
  unreadable: [],
  identity: {},
  versions: {},
} as const
const empty = { ...content, resources: [], unreadable: [] }

async function begin(t: ExecutionContext) {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  const backupDir = join(folder, 'backups')
  const archive = await Archive.begin(backupDir, 'catalyst-20251204T120000Z', encryptionTo([keys.recipient]))
  return { archive, backupDir, keys }
}

test('the name sorts by age and tells the time in UTC', (t) => {
  t.is(archiveName('catalyst-cluster', new Date('2025-12-04T19:08:07.654Z')), 'catalyst-cluster-20251204T190807Z')
})

test('until it is finished it is a .partial folder that nobody takes for a backup', async (t) => {
  const { archive, backupDir } = await begin(t)
  const file = await archive.add('a.json', Buffer.from('{}'))
  t.deepEqual(await readdir(backupDir), ['catalyst-20251204T120000Z.partial'])
  t.deepEqual(await unfinished(backupDir), [archive.partial])
  await t.throwsAsync(readManifest(archive.partial), { instanceOf: OperatorError, message: /never finished/ })
  const folder = await archive.finish({ ...empty, files: [file] })
  t.deepEqual(await readdir(backupDir), ['catalyst-20251204T120000Z'])
  t.deepEqual((await readManifest(folder)).files, [file])
})

test('finishing twice gives the same folder, as after a kill between the rename and the journal', async (t) => {
  const { archive } = await begin(t)
  t.is(await archive.finish({ ...empty, files: [] }), await archive.finish({ ...empty, files: [] }))
})

test('what an earlier attempt left under the same name is gone when it begins anew', async (t) => {
  const { archive, backupDir, keys } = await begin(t)
  await archive.add('old.json', Buffer.from('{}'))
  const again = await Archive.begin(backupDir, archive.name, encryptionTo([keys.recipient]))
  t.deepEqual(await readdir(again.partial), [])
})

test('a whole backup is never written over', async (t) => {
  const { archive, backupDir, keys } = await begin(t)
  await archive.finish({ ...empty, files: [] })
  const again = Archive.begin(backupDir, archive.name, encryptionTo([keys.recipient]))
  await t.throwsAsync(again, { instanceOf: OperatorError, message: /there already/ })
})

test('suffixes say what is done: compressed, encrypted, both, and the content comes back', async (t) => {
  const { archive, keys } = await begin(t)
  const decryption = await decryptionFrom(keys.identityFile)
  const text = 'canary '.repeat(50_000)
  for (const path of ['a.txt', 'a.txt.gz', 'deep/a.txt.age', 'deep/a.txt.gz.age']) {
    const file = await archive.add(path, chunksOf(text.slice(0, 1000), text.slice(1000)))
    const stored = await readFile(join(archive.partial, path))
    t.is(file.bytes, stored.length)
    t.is(file.plainBytes, text.length)
    t.is(file.encrypted, path.endsWith('.age'))
    t.is(stored.includes('canary'), path === 'a.txt')
    t.is(file.bytes < 10_000, path.includes('.gz'))
    t.is((await whole(plainContent(path, storedContent(archive.partial, path), decryption))).toString(), text)
  }
})

test('nobody else on the machine can read it', async (t) => {
  const { archive } = await begin(t)
  await archive.add('deep/secret.age', Buffer.from('x'))
  t.is((await stat(archive.partial)).mode & 0o077, 0)
  t.is((await stat(join(archive.partial, 'deep'))).mode & 0o077, 0)
  t.is((await stat(join(archive.partial, 'deep/secret.age'))).mode & 0o077, 0)
})

test('a failing source fails the file with its own error', async (t) => {
  const { archive } = await begin(t)
  async function* failing() {
    yield Buffer.from('x')
    throw new Error('410')
  }
  for (const path of ['a', 'a.gz', 'a.gz.age', 'a.age']) {
    await t.throwsAsync(archive.add(path, failing()), { message: '410' })
  }
})

test('a path that leads out of the backup is refused', async (t) => {
  const { archive } = await begin(t)
  for (const path of ['../x', '/x', 'a/../../x', 'a//x', './x', 'a/.hidden', '', 'a\0b', 'a\\..\\b']) {
    await t.throwsAsync(archive.add(path, Buffer.from('x')))
    t.throws(() => storedContent(archive.partial, path))
  }
})

test('a file that vanished before the end is missed, and there is no backup', async (t) => {
  const { archive, backupDir } = await begin(t)
  const file = await archive.add('a.json', Buffer.from('{}'))
  await writeFile(join(archive.partial, 'a.json'), '')
  const error = await t.throwsAsync(archive.finish({ ...empty, files: [file] }), { instanceOf: OperatorError })
  t.regex(error?.what ?? '', /a\.json/)
  t.deepEqual(await readdir(backupDir), ['catalyst-20251204T120000Z.partial'])
})

test('a place that cannot be written to is named with the variable to set', async (t) => {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  const file = join(folder, 'file')
  await writeFile(file, '')
  const error = await t.throwsAsync(Archive.begin(join(file, 'b'), 'name', encryptionTo([keys.recipient])), {
    instanceOf: OperatorError,
  })
  t.regex(error?.next ?? '', /BACKUP_DIR/)
})

test('a manifest that is damaged, or leads out of the folder, is refused', async (t) => {
  const { archive } = await begin(t)
  const folder = await archive.finish({ ...empty, files: [await archive.add('a.json', Buffer.from('{}'))] })
  const text = await readFile(join(folder, 'manifest.json'), 'utf8')
  await mkdir(join(folder, 'elsewhere'))
  for (const damage of [
    text.slice(0, -20),
    text.replace('a.json', '../a.json'),
    text.replace('"version": 1', '"version": 2'),
  ]) {
    await writeFile(join(folder, 'manifest.json'), damage)
    const error = await t.throwsAsync(readManifest(folder), { instanceOf: OperatorError })
    t.regex(error?.what ?? '', /manifest\.json is damaged/)
  }
  await t.throwsAsync(readManifest(join(folder, 'elsewhere')), { instanceOf: OperatorError, message: /is no backup/ })
})

test('a full disk is an error that says what to do', async (t) => {
  if (!existsSync('/dev/full')) return t.pass('only Linux has a device that is always full')
  const { archive } = await begin(t)
  for (const path of ['a.json', 'b.jsonl.gz', 'c.gz.age']) {
    await symlink('/dev/full', join(archive.partial, path))
    const error = await t.throwsAsync(archive.add(path, Buffer.alloc(1_000_000)), { instanceOf: OperatorError })
    t.regex(error?.what ?? '', /No room is left/)
    t.regex(error?.next ?? '', /BACKUP_DIR/)
  }
})
