import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { MachineConfig } from './machine-config.ts'
import { BoltFile } from './snapshot/bolt.ts'
import { decrypt, providerOf } from './snapshot/decrypt.ts'
import { bytesAt, fields, keyValue } from './snapshot/protobuf.ts'

const digestLength = 32
const pageUnit = 512
const namespaceKey = '/registry/namespaces/kube-system'
const rootCaKey = '/registry/configmaps/kube-system/kube-root-ca.crt'
const secretPrefix = '/registry/secrets/'
const wanted = [namespaceKey, rootCaKey, secretPrefix].map((key) => Buffer.from(key))
// Deletion markers have one byte more: revision (8), '_', sub-revision (8), 't'.
const revisionLength = 17

/** A snapshot file that is whole. */
export interface SnapshotFile {
  bytes: number
  /** SHA-256 of the whole plain file, hex */
  sha256: string
}

/** What stands in a snapshot, read without etcd. Secrets' values are sealed here, unless the cluster does not seal them. */
export interface SnapshotContent {
  /** etcd's revision at the time of the snapshot */
  revision: number
  /** entries in the file: those of one key that were not compacted count each */
  revisions: number
  /** the UID of the kube-system namespace: the cluster's identity by convention; null when the snapshot is not a cluster's */
  kubeSystemUid: string | null
  secrets: number
  /** one Secret as it is stored */
  secret: { key: string; value: Buffer } | null
  /** kube-root-ca.crt of kube-system, PEM */
  rootCa: string | null
}

/**
 * Checks that a snapshot is whole: etcd appends the SHA-256 of the database (etcd, server/etcdserver/api/v3rpc/maintenance.go), so
 * that a whole file's size leaves 32 when divided by 512. To be called before talosctl, which panics on a file that is cut off.
 * @throws OperatorError when the file is absent, cut off or damaged
 */
export async function checkSnapshotFile(path: string): Promise<SnapshotFile> {
  const { size } = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new OperatorError(`The etcd snapshot cannot be read: ${path} (${cause.code}).`, { cause })
  })
  if (size <= digestLength || size % pageUnit !== digestLength) {
    throw broken(path, `its size of ${size} bytes is not that of a whole one: it is cut off`)
  }
  const body = createHash('sha256')
  for await (const chunk of createReadStream(path, { end: size - digestLength - 1, highWaterMark: 1 << 20 }))
    body.update(chunk)
  const whole = body.copy()
  const expected = await lastBytes(path, size)
  if (!body.digest().equals(expected)) throw broken(path, 'its last 32 bytes are not the SHA-256 of the rest')
  return { bytes: size, sha256: whole.update(expected).digest('hex') }
}

/**
 * Reads what identifies a snapshot: the newest revision of a few keys, in one pass over etcd's `key` bucket.
 * @param path a file that checkSnapshotFile has found whole
 * @throws OperatorError when it is not an etcd database
 */
export async function readSnapshot(path: string): Promise<SnapshotContent> {
  try {
    const file = await BoltFile.open(path)
    try {
      return await readContent(file)
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause
    throw broken(path, messageOf(cause), cause)
  }
}

async function readContent(file: BoltFile): Promise<SnapshotContent> {
  const latest = new Map<string, Buffer>()
  let revision = 0
  let revisions = 0
  await file.visit('key', (at, value) => {
    revisions += 1
    revision = Math.max(revision, Number(at.readBigUInt64BE(0)))
    const { key, value: object } = keyValue(value)
    if (!wanted.some((prefix) => startsWith(key, prefix))) return
    if (at.length > revisionLength) latest.delete(key.toString())
    else latest.set(key.toString(), Buffer.from(object))
  })
  const secrets = [...latest].filter(([key]) => key.startsWith(secretPrefix))
  const [key, value] = secrets.find(([, stored]) => providerOf(stored) !== 'identity') ?? secrets[0] ?? []
  const namespace = latest.get(namespaceKey)
  const configMap = latest.get(rootCaKey)
  return {
    revision,
    revisions,
    kubeSystemUid: namespace ? uidOf(namespace) : null,
    secrets: secrets.length,
    secret: key !== undefined && value !== undefined ? { key, value } : null,
    rootCa: configMap ? rootCaOf(configMap) : null,
  }
}

function startsWith(key: Buffer, prefix: Buffer): boolean {
  return key.length >= prefix.length && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0
}

/** Kubernetes' envelope: magic, then runtime.Unknown whose field 2 is the object; its field 1 is metadata, there 5 is the UID. */
function uidOf(object: Buffer): string | null {
  if (object[0] === 0x7b)
    return (JSON.parse(object.toString()) as { metadata?: { uid?: string } }).metadata?.uid ?? null
  return bytesAt(object.subarray(4), 2, 1, 5)?.toString() ?? null
}

/** ConfigMap.data is field 2, a map: entries of key (1) and value (2). */
function rootCaOf(object: Buffer): string | null {
  const configMap = bytesAt(object.subarray(4), 2)
  if (!configMap) return null
  for (const field of fields(configMap)) {
    if (field.number !== 2 || !('bytes' in field)) continue
    if (bytesAt(field.bytes, 1)?.toString() === 'ca.crt') return bytesAt(field.bytes, 2)?.toString() ?? null
  }
  return null
}

/** How it was proven that a snapshot and a machine config belong together. */
export interface Kinship {
  kubeSystemUid: string
  proofs: string[]
}

/**
 * Proves that a snapshot was made by the cluster whose secrets bundle a machine config comes from: one of its Secrets opens with
 * the config's key, and the authority that it publishes to all Pods is the config's.
 * @throws OperatorError when it belongs to another bundle, is no cluster's, or when nothing in it can prove anything
 */
export function proveKinship(content: SnapshotContent, config: MachineConfig, origin: string): Kinship {
  if (!content.kubeSystemUid) {
    throw new OperatorError(`${origin} is not a snapshot of a Kubernetes cluster: it has no namespace kube-system.`, {
      next: 'Choose another snapshot with SNAPSHOT=FILE.',
    })
  }
  const proofs: string[] = []
  if (content.secret && providerOf(content.secret.value) !== 'identity') {
    if (!decrypt(content.secret.value, config.encryption)) {
      const provider = providerOf(content.secret.value)
      throw foreign(
        origin,
        config,
        `its Secrets do not open with the config's ${provider} key (tried ${content.secret.key})`,
      )
    }
    proofs.push(`Secret ${content.secret.key.slice(secretPrefix.length)} opens with the config's key`)
  }
  if (content.rootCa && config.kubernetesCa) {
    if (!holdsCertificate(content.rootCa, config.kubernetesCa))
      throw foreign(origin, config, 'its Kubernetes CA is another one')
    proofs.push('its Kubernetes CA is the one of the config')
  }
  if (proofs.length > 0) return { kubeSystemUid: content.kubeSystemUid, proofs }
  throw new OperatorError(`Nothing in ${origin} shows which secrets bundle it belongs to.`, {
    means: 'It has neither an encrypted Secret nor the config map kube-root-ca.crt in kube-system.',
    next: 'Choose a snapshot of a whole cluster with SNAPSHOT=FILE.',
  })
}

function holdsCertificate(bundle: string, certificate: string): boolean {
  const bare = (pem: string) => pem.replace(/-----[A-Z ]+-----|\s/g, '')
  return bare(bundle).includes(bare(certificate))
}

function foreign(origin: string, config: MachineConfig, why: string): OperatorError {
  return new OperatorError(`${origin} belongs to another secrets bundle than ${config.origin}: ${why}.`, {
    means: 'The API server would start, but could read none of its Secrets, and no token or certificate would fit.',
    next: 'Use the snapshot and the machine config of one backup set. Nothing was applied.',
  })
}

async function lastBytes(path: string, size: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(digestLength)
    await file.read(buffer, 0, digestLength, size - digestLength)
    return buffer
  } finally {
    await file.close()
  }
}

function broken(path: string, why: string, cause?: unknown): OperatorError {
  return new OperatorError(`${path} is not a whole etcd snapshot: ${why}.`, {
    means: 'etcd could not be recovered from it. Nothing was applied.',
    next: 'Choose another one with SNAPSHOT=FILE (a file that "talosctl etcd snapshot" has written).',
    ...(cause === undefined ? {} : { cause }),
  })
}
