import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { encryptionTo } from '../../lib/backup/encryption.ts'
import { readFinalSet, writeFinalSet } from '../../lib/backup/final-set.ts'
import { verifyBackup } from '../../lib/backup/verify.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { makeKeys, operatorWho, scratchFolder } from './keys.ts'

const canary = 'CANARY-77e0'
const fixture = readFileSync(new URL('../talos/fixtures/controlplane.yaml', import.meta.url), 'utf8')
const config = Buffer.from(`${fixture}\n# ${canary}\n`)
const info = { identity: { kubeSystemUid: 'uid-1' }, versions: { talos: 'v1.11.1' }, snapshot: { revision: 42 } }

async function prepare(t: ExecutionContext) {
  const scratch = await scratchFolder(t)
  const keys = await makeKeys(scratch)
  const snapshotPath = join(scratch, 'plain.snapshot')
  const snapshot = Buffer.concat([randomBytes(300_000), Buffer.from(canary)])
  await writeFile(snapshotPath, snapshot)
  const settings = {
    backupDir: join(scratch, 'b'),
    clusterName: 'catalyst-cluster',
    ageIdentityFile: keys.identityFile,
  }
  const holder = { settings, prompt: operatorWho() }
  const encryption = { encryption: encryptionTo([keys.recipient]), protectedIdentity: undefined }
  const write = (set: Parameters<typeof writeFinalSet>[2]) => writeFinalSet(settings, encryption, set)
  return {
    settings,
    holder,
    write,
    scratch,
    snapshot,
    set: { snapshotPath, machineConfigs: { talos00: config }, info },
  }
}

test('the snapshot and its machine config come back as they were', async (t) => {
  const { holder, write, scratch, snapshot, set } = await prepare(t)
  const { folder } = await write(set)
  t.regex(folder, /catalyst-cluster-\d{8}T\d{6}Z-final$/)
  const read = await readFinalSet(holder, folder)
  t.like(read.manifest, { content: 'final-snapshot', identity: info.identity, snapshot: { revision: 42 } })
  t.true((await read.machineConfig('talos00')).equals(config))
  t.true((await readFile(await read.openSnapshot(scratch))).equals(snapshot))
  t.deepEqual((await verifyBackup(folder)).problems, [])
})

test('nothing of either lies there in plain', async (t) => {
  const { write, set } = await prepare(t)
  const { folder } = await write(set)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) t.false((await readFile(join(entry.parentPath, entry.name))).includes(canary), entry.name)
  }
})

test('a snapshot without a machine config is refused, for its Secrets could never be read', async (t) => {
  const { write, set } = await prepare(t)
  const error = await t.throwsAsync(write({ ...set, machineConfigs: {} }), {
    instanceOf: OperatorError,
  })
  t.regex(error?.what ?? '', /no machine config/)
})

test('when the snapshot cannot be read, no half set is left', async (t) => {
  const { settings, write, scratch, set } = await prepare(t)
  await t.throwsAsync(write({ ...set, snapshotPath: join(scratch, 'absent') }))
  t.deepEqual(await readdir(settings.backupDir), [])
})

test('what a killed shutdown has left is removed by the next one, and nothing else', async (t) => {
  const { settings, write, set } = await prepare(t)
  const left = join(settings.backupDir, 'catalyst-cluster-20200101T000000Z-final.partial')
  const others = ['catalyst-cluster-20200101T000000Z.partial', 'other-20200101T000000Z-final.partial']
  for (const folder of [left, ...others.map((name) => join(settings.backupDir, name))]) {
    await mkdir(folder, { recursive: true })
  }
  const { folder } = await write(set)
  t.deepEqual((await readdir(settings.backupDir)).toSorted(), [...others, basename(folder)].toSorted())
})

test('a damaged or missing snapshot is named, and nothing of it is left in the memory folder', async (t) => {
  const { holder, write, scratch, set } = await prepare(t)
  const { folder } = await write(set)
  const file = join(folder, 'etcd.snapshot.gz.age')
  const bytes = await readFile(file)
  bytes[200_000] = (bytes[200_000] ?? 0) ^ 1
  await writeFile(file, bytes)
  const open = async () => (await readFinalSet(holder, folder)).openSnapshot(scratch)
  const error = await t.throwsAsync(open(), { instanceOf: OperatorError })
  t.regex(error?.what ?? '', /etcd\.snapshot\.gz\.age is damaged/)
  t.false((await readdir(scratch)).includes('etcd.snapshot'))
  await rm(file)
  await t.throwsAsync(open(), { instanceOf: OperatorError, message: /etcd\.snapshot\.gz\.age/ })
})

test('without the identity, or with another, it says which variable to set', async (t) => {
  const { write, scratch, set } = await prepare(t)
  const { folder } = await write(set)
  const other = await makeKeys(scratch, 'other')
  for (const ageIdentityFile of [undefined, other.identityFile]) {
    const read = await readFinalSet({ settings: { ageIdentityFile }, prompt: operatorWho() }, folder)
    for (const act of [() => read.openSnapshot(scratch), () => read.machineConfig('talos00')]) {
      const error = await t.throwsAsync(act(), { instanceOf: OperatorError })
      t.regex(error?.next ?? '', /AGE_IDENTITY_FILE/)
    }
  }
})

test('a node that is not in the set is named with those that are', async (t) => {
  const { holder, write, set } = await prepare(t)
  const read = await readFinalSet(holder, (await write(set)).folder)
  const error = await t.throwsAsync(read.machineConfig('talos99'), { instanceOf: OperatorError })
  t.regex(error?.means ?? '', /talos00/)
})
