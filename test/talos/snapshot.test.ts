import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { decrypt, providerOf } from '../../lib/talos/snapshot/decrypt.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../../lib/talos/snapshot.ts'

const fixture = (name: string) => new URL(`fixtures/${name}`, import.meta.url)
const configOf = async (name: string) => parseMachineConfig(await readFile(fixture(name)), name)

async function inFolder(use: (folder: string, snapshot: Buffer) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'snapshot-test-'))
  try {
    // Of a real etcd 3.6 under a real API server 1.34 with two made up Secrets; the service account's name says so.
    await use(folder, gunzipSync(await readFile(fixture('cluster.snapshot.gz'))))
  } finally {
    await rm(folder, { recursive: true, maxRetries: 10 })
  }
}

async function refused(promise: Promise<unknown>): Promise<OperatorError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof OperatorError) return error
  throw new Error(`expected an OperatorError, got ${String(error)}`)
}

test('a whole snapshot passes the file check, with the size and digest of the plain file', async (t) => {
  await inFolder(async (folder, snapshot) => {
    const path = join(folder, 'whole')
    await writeFile(path, snapshot)
    const sha256 = createHash('sha256').update(snapshot).digest('hex')
    t.deepEqual(await checkSnapshotFile(path), { bytes: snapshot.length, sha256 })
  })
})

test('a snapshot that is cut off anywhere is refused', async (t) => {
  await inFolder(async (folder, snapshot) => {
    for (const length of [0, 31, 32, 4096, 32 + 512 * 7, snapshot.length - 32, snapshot.length - 1]) {
      const path = join(folder, `cut-${length}`)
      await writeFile(path, snapshot.subarray(0, length))
      const error = await refused(checkSnapshotFile(path))
      t.regex(error.what, /not a whole etcd snapshot/, `${length} bytes`)
    }
  })
})

test('one flipped bit is found', async (t) => {
  await inFolder(async (folder, snapshot) => {
    const damaged = Buffer.from(snapshot)
    damaged.writeUInt8(damaged.readUInt8(50_000) ^ 1, 50_000)
    await writeFile(join(folder, 'damaged'), damaged)
    t.regex((await refused(checkSnapshotFile(join(folder, 'damaged')))).what, /SHA-256/)
  })
})

test('a snapshot that is absent is refused by name', async (t) => {
  t.regex((await refused(checkSnapshotFile('/nowhere/etcd.snapshot'))).what, /nowhere.*ENOENT/)
})

test('the reader finds revision, identity, Secrets and authority without etcd', async (t) => {
  await inFolder(async (folder, snapshot) => {
    await writeFile(join(folder, 'whole'), snapshot)
    const content = await readSnapshot(join(folder, 'whole'))
    // What etcdutl 3.6 and the API server have said of the same cluster.
    t.is(content.revision, 64)
    t.is(content.kubeSystemUid, '26495050-56de-4e1b-a244-08b40486427e')
    t.is(content.secrets, 2)
    t.regex(content.rootCa ?? '', /^-----BEGIN CERTIFICATE-----/)
    t.is(providerOf(content.secret?.value ?? Buffer.alloc(0)), 'secretbox')
  })
})

test('a file that is no bbolt database is refused, also when its digest is right', async (t) => {
  await inFolder(async (folder) => {
    const body = randomBytes(512 * 20)
    const path = join(folder, 'noise')
    await writeFile(path, Buffer.concat([body, createHash('sha256').update(body).digest()]))
    await checkSnapshotFile(path)
    t.regex((await refused(readSnapshot(path))).what, /no valid meta page/)
  })
})

test('with its newer meta page damaged the older one is read', async (t) => {
  await inFolder(async (folder, snapshot) => {
    const damaged = Buffer.from(snapshot)
    damaged.fill(0, 0, 4096)
    await writeFile(join(folder, 'first'), damaged)
    t.is((await readSnapshot(join(folder, 'first'))).kubeSystemUid, '26495050-56de-4e1b-a244-08b40486427e')
  })
})

test('a snapshot belongs to the config whose key opens its Secrets and whose authority it publishes', async (t) => {
  await inFolder(async (folder, snapshot) => {
    await writeFile(join(folder, 'whole'), snapshot)
    const content = await readSnapshot(join(folder, 'whole'))
    const { kubeSystemUid, proofs } = proveKinship(content, await configOf('controlplane.yaml'), 'it')
    t.is(kubeSystemUid, '26495050-56de-4e1b-a244-08b40486427e')
    t.is(proofs.length, 2)
  })
})

test('a snapshot of another secrets bundle is refused', async (t) => {
  await inFolder(async (folder, snapshot) => {
    await writeFile(join(folder, 'whole'), snapshot)
    const content = await readSnapshot(join(folder, 'whole'))
    const foreign = await configOf('foreign.yaml')
    t.throws(() => proveKinship(content, foreign, 'it'), {
      instanceOf: OperatorError,
      message: /another secrets bundle.*do not open/,
    })
    const unsealed = { ...content, secret: null }
    t.throws(() => proveKinship(unsealed, foreign, 'it'), { message: /Kubernetes CA is another/ })
    t.throws(() => proveKinship({ ...unsealed, rootCa: null }, foreign, 'it'), { message: /Nothing in it shows/ })
    t.throws(() => proveKinship({ ...content, kubeSystemUid: null }, foreign, 'it'), {
      message: /no namespace kube-system/,
    })
  })
})

test('the Secret that is opened is the one that was stored', async (t) => {
  await inFolder(async (folder, snapshot) => {
    await writeFile(join(folder, 'whole'), snapshot)
    const { secret } = await readSnapshot(join(folder, 'whole'))
    const plain = secret && decrypt(secret.value, (await configOf('controlplane.yaml')).encryption)
    t.true(plain?.toString('latin1').includes('not-a-secret-canary'))
  })
})

test('what a wrong key makes of a value is not taken for an object because its first byte looks like one', (t) => {
  const key = randomBytes(32)
  const iv = randomBytes(16)
  for (const plain of ['{\x11\xc5 is no JSON', '{', '["a list"]']) {
    const cipher = createCipheriv('aes-256-cbc', key, iv)
    const parts = [Buffer.from('k8s:enc:aescbc:v1:key1:'), iv, cipher.update(plain, 'latin1'), cipher.final()]
    t.is(decrypt(Buffer.concat(parts), { aescbc: key }), null, plain)
  }
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const object = '{"kind":"Secret"}'
  const sealed = Buffer.concat([Buffer.from('k8s:enc:aescbc:v1:key1:'), iv, cipher.update(object), cipher.final()])
  t.is(decrypt(sealed, { aescbc: key })?.toString(), object)
})

test('aescbc is opened too, and a wrong key never looks right', (t) => {
  const key = randomBytes(32)
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const plain = Buffer.from('k8s\0 some object')
  const sealed = Buffer.concat([Buffer.from('k8s:enc:aescbc:v1:key1:'), iv, cipher.update(plain), cipher.final()])
  t.deepEqual(decrypt(sealed, { aescbc: key }), plain)
  t.is(decrypt(sealed, { secretbox: key }), null)
  // One wrong key in 256 leaves valid padding behind.
  for (let attempt = 0; attempt < 1000; attempt++) t.is(decrypt(sealed, { aescbc: randomBytes(32) }), null)
})
