import { join } from 'node:path'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import { measure, plainContent, storedContent } from '../archive.ts'
import type { Bytes, Decryption } from '../encryption.ts'
import { type FileEntry, type Manifest, type ResourceEntry, readManifest } from '../manifest.ts'

const newline = 0x0a

/** What of a backup is wanted. */
export interface Selection {
  /** Whether a resource can hold a wanted object; the files of the others are not read. */
  resource(entry: ResourceEntry): boolean
  object(object: KubernetesObject, entry: ResourceEntry): boolean
}

/** The objects of a backup, read as a stream. */
export interface BackedUpObjects {
  readonly folder: string
  readonly manifest: Manifest
  readonly selection: Selection
  /**
   * All objects of one resource, wanted or not, in the order of the file. Decrypted in memory only.
   * @throws OperatorError when the file is missing, is not what the manifest says, unpacks to more than it says, or does not open
   */
  objects(entry: ResourceEntry): AsyncGenerator<KubernetesObject, void, undefined>
}

/**
 * A backup to restore from.
 * @param folder of a whole backup
 * @param decryption of AGE_IDENTITY_FILE; not needed when nothing encrypted is selected
 * @throws OperatorError when there is no manifest in it, or one that breaks the schema
 */
export async function backedUpObjects(
  folder: string,
  { decryption, selection }: { decryption: Decryption | undefined; selection: Selection },
): Promise<BackedUpObjects> {
  const manifest = await readManifest(folder)
  return { folder, manifest, selection, objects: (entry) => objectsIn(folder, manifest, entry, decryption) }
}

/** Whether the resource is encrypted in the backup: its values are shown nowhere, then. */
export function isSecret(entry: ResourceEntry): boolean {
  return entry.path?.endsWith('.age') ?? false
}

/** `deployments.apps`, as kubectl and the operator write it; `services` of the core group. */
export function resourceName({ group, resource }: Pick<ResourceEntry, 'group' | 'resource'>): string {
  return group === '' ? resource : `${resource}.${group}`
}

async function* objectsIn(
  folder: string,
  manifest: Manifest,
  entry: ResourceEntry,
  decryption: Decryption | undefined,
): AsyncGenerator<KubernetesObject, void, undefined> {
  if (entry.path === undefined) return
  const file = manifest.files.find(({ path }) => path === entry.path)
  if (file === undefined) throw damaged(folder, entry.path, 'the manifest does not say its SHA-256')
  const stored = measure()
  try {
    const content = plainContent(file.path, stored.through(storedContent(folder, file.path)), decryption)
    for await (const line of linesOf(notMoreThan(file, content))) yield JSON.parse(line) as KubernetesObject
  } catch (error) {
    if (error instanceof OperatorError) throw error
    throw damaged(folder, file.path, isOfJson(error) ? 'it holds something that is no object' : messageOf(error))
  }
  if (stored.sha256() !== file.sha256) throw damaged(folder, file.path, "its SHA-256 is not the manifest's")
}

/** What JSON.parse says quotes what it read, and that may be a secret. */
const isOfJson = (error: unknown) => error instanceof SyntaxError

/** A few bytes can unpack to more than any memory holds. */
async function* notMoreThan(file: FileEntry, content: Bytes): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of content) {
    bytes += chunk.length
    if (bytes > file.plainBytes) throw new Error(`it unpacks to more than the ${file.plainBytes} bytes of the manifest`)
    yield chunk
  }
}

async function* linesOf(content: Bytes): AsyncGenerator<string> {
  let begun: Uint8Array[] = []
  for await (const chunk of content) {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString('utf8')
      begun = []
      from = end + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
  }
  if (begun.length > 0) throw new Error('its last line is cut off')
}

function damaged(folder: string, path: string, why: string): OperatorError {
  return new OperatorError(`${join(folder, path)} is damaged: ${why}.`, {
    means: 'Nothing is restored from a file that is not what was backed up.',
    next: 'Use another backup: task migrate:restore -- --backup FOLDER …',
  })
}
