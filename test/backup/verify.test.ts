import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { Archive } from '../../lib/backup/archive.ts'
import { manifestCode } from '../../lib/backup/authenticity.ts'
import { type Decryption, decryptionFrom, encryptionTo } from '../../lib/backup/encryption.ts'
import { type Manifest, sumsOf } from '../../lib/backup/manifest.ts'
import { assertWhole, verifyBackup } from '../../lib/backup/verify.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { chunksOf, makeKeys, scratchFolder } from './keys.ts'

const pods = { group: '', version: 'v1', resource: 'pods', count: 3, path: 'resources/pods.core.v1.jsonl.gz' }
const secrets = { ...pods, resource: 'secrets', count: 2, path: 'resources/secrets.core.v1.jsonl.gz.age' }

async function makeBackup(t: ExecutionContext, resources = [pods, secrets]) {
  const scratch = await scratchFolder(t)
  const keys = await makeKeys(scratch)
  const archive = await Archive.begin(join(scratch, 'b'), 'backup', encryptionTo([keys.recipient]))
  const files = [
    await archive.add(pods.path, chunksOf('{"a":1}\n{"a":2}\n', '{"a":3}\n')),
    await archive.add(secrets.path, chunksOf('{"s":1}\n{"s":2}\n')),
    await archive.add('baseline.json', Buffer.from('{}\n')),
  ]
  const about = { content: 'backup', cluster: 'c', createdAt: '2025-12-04T12:00:00.000Z' } as const
  const folder = await archive.finish({ ...about, files, resources, unreadable: [], identity: {}, versions: {} })
  return { folder, scratch, decryption: await decryptionFrom(keys.identityFile) }
}

async function problems(folder: string, decryption?: Decryption): Promise<string[]> {
  return (await verifyBackup(folder, decryption)).problems
}

/** As somebody would who knows of the sums. */
async function editManifest(folder: string, edit: (manifest: Manifest) => void): Promise<void> {
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  edit(manifest)
  const text = Buffer.from(JSON.stringify(manifest))
  await writeFile(file, text)
  await writeFile(join(folder, 'SHA256SUMS'), sumsOf(manifest.files, { 'manifest.json': text }))
}

test('a whole backup has no problems, with and without the identity', async (t) => {
  const { folder, decryption } = await makeBackup(t)
  const opened = await verifyBackup(folder, decryption)
  t.like(opened, { problems: [], files: 3, objects: 5, opened: true })
  const hashed = await verifyBackup(folder)
  t.like(hashed, { problems: [], opened: false })
  t.notThrows(() => assertWhole(folder, opened))
})

test('one flipped bit, anywhere in any file, is found and the file is named', async (t) => {
  const { folder, decryption } = await makeBackup(t)
  for (const path of [pods.path, secrets.path, 'baseline.json']) {
    const file = join(folder, path)
    const bytes = await readFile(file)
    for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      await writeFile(file, flipped)
      for (const identity of [decryption, undefined]) {
        t.deepEqual(await problems(folder, identity), [`${path} has changed: its SHA-256 is not the manifest's`])
      }
    }
    await writeFile(file, bytes)
  }
  t.deepEqual(await problems(folder, decryption), [])
})

test('a missing, a truncated and a grown file are named, each with what is wrong', async (t) => {
  const { folder, decryption } = await makeBackup(t)
  await rm(join(folder, pods.path))
  await truncate(join(folder, secrets.path), 100)
  await writeFile(join(folder, 'baseline.json'), '{}\n\n\n')
  const found = await problems(folder, decryption)
  t.is(found.length, 3)
  t.true(found.some((problem) => problem === `${pods.path} is missing`))
  t.true(found.some((problem) => problem.startsWith(`${secrets.path} is cut off: 100 of `)))
  t.true(found.some((problem) => problem === 'baseline.json has grown: 5 bytes instead of 3'))
  const error = t.throws(() => assertWhole(folder, { problems: found } as never), { instanceOf: OperatorError })
  for (const problem of found) t.true(error.what.includes(problem))
})

test('a file that the manifest does not know is named', async (t) => {
  const { folder } = await makeBackup(t)
  await writeFile(join(folder, 'resources/extra'), 'x')
  t.deepEqual(await problems(folder), ['resources/extra is not in the manifest'])
})

test('a manifest that promises other counts than the files hold is found out', async (t) => {
  const { folder, decryption } = await makeBackup(t, [{ ...pods, count: 4 }, secrets])
  t.deepEqual(await problems(folder, decryption), [`${pods.path} holds 3 objects, and the manifest says 4`])
})

test('a manifest that names a resource without its file is found out', async (t) => {
  const { folder } = await makeBackup(t)
  await editManifest(folder, (manifest) => {
    manifest.files = manifest.files.filter(({ path }) => path !== pods.path)
  })
  t.deepEqual(await problems(folder), [
    `manifest.json names ${pods.path}, and not its SHA-256`,
    `${pods.path} is not in the manifest`,
  ])
})

test('a few bytes that unpack to gigabytes are stopped at what the manifest says', async (t) => {
  const { folder } = await makeBackup(t)
  const bomb = gzipSync(Buffer.alloc(50_000_000))
  await writeFile(join(folder, pods.path), bomb)
  await editManifest(folder, (manifest) => {
    const entry = manifest.files.find(({ path }) => path === pods.path)
    if (entry) Object.assign(entry, { bytes: bomb.length, sha256: createHash('sha256').update(bomb).digest('hex') })
  })
  const [problem] = await problems(folder)
  t.is(problem, `${pods.path} cannot be unpacked: it unpacks to more than the 24 bytes that the manifest says`)
})

test('an identity that is not among the recipients is refused by name', async (t) => {
  const { folder, scratch } = await makeBackup(t)
  const other = await makeKeys(scratch, 'other.txt')
  const error = await t.throwsAsync(verifyBackup(folder, await decryptionFrom(other.identityFile)), {
    instanceOf: OperatorError,
  })
  t.true(error?.means?.includes(other.recipient))
  t.regex(error?.next ?? '', /AGE_IDENTITY_FILE/)
})

test('a manifest that was changed is found by its sum, without any identity', async (t) => {
  const { folder } = await makeBackup(t)
  const file = join(folder, 'manifest.json')
  await writeFile(file, (await readFile(file, 'utf8')).replace('"cluster": "c"', '"cluster": "d"'))
  t.deepEqual(await problems(folder), ['SHA256SUMS and manifest.json do not agree about manifest.json'])
  await rm(join(folder, 'SHA256SUMS'))
  t.deepEqual(await problems(folder), ['SHA256SUMS is missing'])
})

test('the stock sha256sum agrees with SHA256SUMS', async (t) => {
  const { folder } = await makeBackup(t)
  const { status, stdout } = spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: folder })
  t.is(status, 0)
  t.is(String(stdout).trim().split('\n').length, 4)
})

test('a manifest that was changed together with its sums is found by the code that only the secrets of the cluster make', async (t) => {
  const scratch = await scratchFolder(t)
  const keys = await makeKeys(scratch)
  const archive = await Archive.begin(join(scratch, 'b'), 'backup', encryptionTo([keys.recipient]))
  const own = await readFile(new URL('../talos/fixtures/controlplane.yaml', import.meta.url))
  const config = parseMachineConfig(own, 'own')
  const files = [await archive.add('machineconfig/talos00.yaml.gz.age', own)]
  const about = { content: 'backup', cluster: 'c', createdAt: '2025-12-04T12:00:00.000Z' } as const
  const rest = { resources: [], unreadable: [], identity: {}, versions: {} }
  const folder = await archive.finish({ ...about, files, ...rest }, (manifest) => manifestCode(config, manifest))
  const decryption = await decryptionFrom(keys.identityFile)
  t.deepEqual(await problems(folder, decryption), [])
  const code = await readFile(join(folder, 'manifest.hmac'))
  const file = join(folder, 'manifest.json')
  const text = Buffer.from((await readFile(file, 'utf8')).replace('"cluster": "c"', '"cluster": "d"'))
  await writeFile(file, text)
  await writeFile(join(folder, 'SHA256SUMS'), sumsOf(files, { 'manifest.json': text, 'manifest.hmac': code }))
  t.deepEqual(await problems(folder), [])
  t.regex((await problems(folder, decryption)).join(), /manifest\.json was not written by this cluster's backup/)
  const forged = manifestCode({ ...config, etcdAuthorityKey: 'of another cluster' }, text) ?? ''
  await writeFile(join(folder, 'manifest.hmac'), forged)
  const sums = { 'manifest.json': text, 'manifest.hmac': Buffer.from(forged) }
  await writeFile(join(folder, 'SHA256SUMS'), sumsOf(files, sums))
  t.deepEqual(await problems(folder), [])
  t.regex((await problems(folder, decryption)).join(), /manifest\.json was not written by this cluster's backup/)
})

test('a disk that gives an error instead of a file is told as that, and the other files are read all the same', async (t) => {
  const scratch = await scratchFolder(t)
  const { recipient } = await makeKeys(scratch)
  const archive = await Archive.begin(join(scratch, 'b'), 'backup', encryptionTo([recipient]))
  const files = [
    await archive.add('empty.json', Buffer.alloc(0)),
    await archive.add('baseline.json', Buffer.from('{}\n')),
  ]
  const about = { content: 'backup', cluster: 'c', createdAt: '2025-12-04T12:00:00.000Z' } as const
  const folder = await archive.finish({ ...about, files, resources: [], unreadable: [], identity: {}, versions: {} })
  await rm(join(folder, 'empty.json'))
  // A file of 0 bytes as stat(2) has it, whose first page cannot be read: EIO, as of a broken disk.
  await symlink('/proc/self/mem', join(folder, 'empty.json'))
  await truncate(join(folder, 'baseline.json'), 1)
  const found = await problems(folder)
  t.true(
    found.some((problem) => /^empty\.json cannot be read back: EIO/.test(problem)),
    found.join(),
  )
  t.true(found.some((problem) => problem.startsWith('baseline.json is cut off')))
})
