import { createHash } from 'node:crypto'
import { BoltFile } from './bolt.ts'
import { decrypt, type EncryptionKeys, providerOf } from './decrypt.ts'
import { bytesField, fields, keyValue } from './protobuf.ts'

/** What is held on to of one object in a snapshot. */
interface Stored {
  /** SHA-256 of what the object says: its status, and whatever the server keeps about it, left out */
  substance: string
  /** its owner makes it anew, or it carries the label of our own objects */
  derived: boolean
}

/** What one snapshot has that another one of the same cluster has not, by keys of etcd without their root: `deployments/media/plex`. */
export interface SnapshotDifference {
  created: string[]
  changed: string[]
  deleted: string[]
}

const root = '/registry/'
// Deletion markers have one byte more: revision (8), '_', sub-revision (8), 't'.
const revisionLength = 17

/** Heartbeats, logs, addresses and whatever a controller writes without anybody having asked for something. */
const noise = [
  ...['events/', 'leases/', 'masterleases/', 'pods/', 'minions/', 'csinodes/', 'ranges/', 'ipaddresses/'],
  ...['services/endpoints/', 'endpointslices/', 'replicasets/', 'controllerrevisions/', 'certificatesigningrequests/'],
]

/** Built-in kinds whose field 3 in protobuf is their status (k8s.io/api, generated.proto of each group). */
const statusIsThird = new Set([
  ...['apiextensions.k8s.io/customresourcedefinitions', 'apiregistration.k8s.io/apiservices', 'controllers'],
  ...['cronjobs', 'daemonsets', 'deployments', 'flowschemas', 'horizontalpodautoscalers', 'ingress', 'jobs'],
  ...[
    'namespaces',
    'persistentvolumeclaims',
    'persistentvolumes',
    'poddisruptionbudgets',
    'prioritylevelconfigurations',
  ],
  ...[
    'resourcequotas',
    'servicecidrs',
    'services/specs',
    'statefulsets',
    'validatingadmissionpolicies',
    'volumeattachments',
  ],
])

/** All objects of a snapshot, by their keys. */
export type StoredObjects = ReadonlyMap<string, Stored>

/**
 * Reads what every object of a snapshot says, as hashes: nothing of it can be read from the result.
 * @param path a file that checkSnapshotFile has found whole
 * @param keys of the machine config that belongs to it; without them an encrypted Secret counts as changed when it was written anew
 * @param ownLabel the label of objects that are our own tools, such as the copies of volumes
 */
export async function readStoredObjects(path: string, keys: EncryptionKeys, ownLabel: string): Promise<StoredObjects> {
  const found = new Map<string, Stored>()
  const file = await BoltFile.open(path)
  try {
    await file.visit('key', (at, value) => {
      const stored = keyValue(value)
      const key = stored.key.toString()
      if (!key.startsWith(root)) return
      const name = key.slice(root.length)
      if (noise.some((prefix) => name.startsWith(prefix))) return
      if (at.length > revisionLength) found.delete(name)
      else found.set(name, readObject(name, stored.value, keys, ownLabel))
    })
  } finally {
    await file.close()
  }
  return found
}

/**
 * What has become of a cluster since a snapshot of it.
 * @param before at the time of that snapshot
 * @param earlier as it was before it was quieted: what says the same again was only put back
 */
export function compareStoredObjects(
  before: StoredObjects,
  now: StoredObjects,
  earlier: StoredObjects = new Map(),
): SnapshotDifference {
  const difference: SnapshotDifference = { created: [], changed: [], deleted: [] }
  for (const [name, { substance, derived }] of now) {
    const then = before.get(name)
    if (derived || then?.substance === substance || earlier.get(name)?.substance === substance) continue
    difference[then ? 'changed' : 'created'].push(name)
  }
  for (const [name, { derived }] of before) if (!derived && !now.has(name)) difference.deleted.push(name)
  for (const names of Object.values(difference)) names.sort()
  return difference
}

function readObject(name: string, value: Buffer, keys: EncryptionKeys, ownLabel: string): Stored {
  const plain = decrypt(value, keys)
  // Sealed anew each time that it is written, and not openable here: the bytes have to do.
  if (!plain || providerOf(plain) !== 'identity') return { substance: hash([value]), derived: false }
  return plain[0] === 0x7b ? fromJson(plain, ownLabel) : fromProtobuf(name, plain, ownLabel)
}

interface Metadata {
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: unknown[]
}

function fromJson(plain: Buffer, ownLabel: string): Stored {
  const {
    metadata = {},
    status: _status,
    ...said
  } = JSON.parse(plain.toString()) as { metadata?: Metadata; status?: unknown }
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata
  const substance = hash([Buffer.from(canonical({ ...said, labels, annotations }))])
  return { substance, derived: ownerReferences.length > 0 || ownLabel in labels }
}

/** Kubernetes' envelope: magic, then runtime.Unknown whose field 2 is the object; of that, 1 is the metadata. */
function fromProtobuf(name: string, plain: Buffer, ownLabel: string): Stored {
  const object = bytesField(plain.subarray(4), 2) ?? Buffer.alloc(0)
  const hasStatus = [...statusIsThird].some((resource) => name.startsWith(`${resource}/`))
  const said: Buffer[] = []
  let derived = false
  for (const field of fields(object)) {
    if (field.number === 1 && 'bytes' in field) {
      const { labels, annotations, owners } = metadataOf(field.bytes)
      said.push(...labels, ...annotations)
      derived = owners.length > 0 || labels.some((label) => label.includes(ownLabel))
    } else if (field.number !== 3 || !hasStatus) said.push(Buffer.from(JSON.stringify(field)))
  }
  return { substance: hash(said), derived }
}

/** ObjectMeta (k8s.io/apimachinery, meta/v1/generated.proto): 11 labels, 12 annotations, 13 ownerReferences. */
function metadataOf(metadata: Buffer): { labels: Buffer[]; annotations: Buffer[]; owners: Buffer[] } {
  const of = (number: number) =>
    [...fields(metadata)].flatMap((field) => (field.number === number && 'bytes' in field ? field.bytes : []))
  return { labels: of(11), annotations: of(12), owners: of(13) }
}

function hash(parts: readonly Buffer[]): string {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(`${part.length} `).update(part)
  return sum.digest('hex')
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
