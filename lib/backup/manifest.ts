import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'

/** Relative, with forward slashes, and never out of the backup folder: a manifest may come from anywhere. */
export const archivePath = z
  .string()
  .regex(
    /^[A-Za-z0-9_@:+-][A-Za-z0-9._@:+-]*(\/[A-Za-z0-9_@:+-][A-Za-z0-9._@:+-]*)*$/,
    'a path inside of the backup folder',
  )

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex')
const size = z.number().int().nonnegative()

const fileEntry = z.object({
  path: archivePath,
  /** of the file as it lies there */
  bytes: size,
  sha256,
  encrypted: z.boolean(),
  /** before compression and encryption */
  plainBytes: size,
})

const resourceName = { group: z.string(), version: z.string(), resource: z.string() }

/** `name`: only that one of them, e.g. the machine config of one node. `excused`: by BACKUP_EXCUSE, when the backup was sealed. */
export const unreadableResource = z.object({
  ...resourceName,
  name: z.string().exactOptional(),
  reason: z.string(),
  excused: z.boolean().exactOptional(),
})

const snapshotEntry = z.object({
  path: archivePath,
  /** etcd's own hash of the key space, as `etcdutl snapshot status` prints it */
  hash: z.string().exactOptional(),
  revision: z.number().int().exactOptional(),
  /** of the plain file */
  bytes: size,
  sha256,
})

const manifestSchema = z.object({
  version: z.literal(1, 'version 1 of the layout, the only one that this program reads'),
  content: z.enum(['backup', 'final-snapshot']),
  cluster: z.string(),
  createdAt: z.iso.datetime(),
  recipients: z.array(z.string()),
  files: z.array(fileEntry),
  /** without a path: there were none, and so there is no file */
  resources: z.array(z.object({ ...resourceName, count: size, path: archivePath.exactOptional() })),
  unreadable: z.array(unreadableResource),
  identity: z.object({ kubeSystemUid: z.string().exactOptional(), etcdClusterId: z.string().exactOptional() }),
  versions: z.object({
    talos: z.string().exactOptional(),
    kubernetes: z.string().exactOptional(),
    talosctl: z.string().exactOptional(),
    etcdutl: z.string().exactOptional(),
    talosMigrate: z.string().exactOptional(),
  }),
  snapshot: snapshotEntry.exactOptional(),
})

export type Manifest = z.output<typeof manifestSchema>
export type FileEntry = z.output<typeof fileEntry>
export type ResourceEntry = Manifest['resources'][number]
export type UnreadableResource = Manifest['unreadable'][number]
export type SnapshotEntry = z.output<typeof snapshotEntry>

export const manifestFile = 'manifest.json'
/** For `sha256sum -c`, the manifest included. */
export const sumsFile = 'SHA256SUMS'
export const partialSuffix = '.partial'
/** Of a backup that retention is removing. */
export const removingSuffix = '.removing'

/**
 * The manifest of a whole backup.
 * @param folder the backup's folder
 * @throws OperatorError when the folder is a partial one, or there is no manifest in it, or one that breaks the schema
 */
export async function readManifest(folder: string): Promise<Manifest> {
  if (folder.endsWith(partialSuffix)) {
    throw new OperatorError(`${folder} was never finished.`, {
      means: 'The run that wrote it was interrupted; it is no backup.',
      next: 'Use a folder without .partial, or take a new backup: task migrate:backup',
    })
  }
  if (folder.endsWith(removingSuffix)) {
    throw new OperatorError(`${folder} is half removed.`, {
      means: 'BACKUP_KEEP removed it, and the run was interrupted; the next backup finishes that.',
      next: 'Use another backup.',
    })
  }
  const file = join(folder, manifestFile)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new OperatorError(`${folder} is no backup: ${messageOf(error)}`, {
      next: 'Name a folder inside of BACKUP_DIR that holds a manifest.json.',
      cause: error,
    })
  })
  return parseManifest(text, file)
}

/**
 * @param origin the file, for the error
 * @throws OperatorError with the first fields that are wrong
 */
export function parseManifest(text: string, origin: string): Manifest {
  const parsed = manifestSchema.safeParse(asJson(text))
  if (parsed.success) return parsed.data
  const wrong = parsed.error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join('.') || 'the file'}: ${issue.message}`)
  throw new OperatorError(`${origin} is damaged, or is no manifest: ${wrong.join('; ')}`, {
    means: 'What the backup holds cannot be known from it.',
    next: 'Use another backup, or take a new one: task migrate:backup',
  })
}

/** The sums of a backup's files in the format of sha256sum (GNU coreutils). The manifest's and its code's are among them. */
export function sumsOf(files: readonly Pick<FileEntry, 'path' | 'sha256'>[], more: Record<string, Uint8Array>): string {
  const beside = Object.entries(more).map(([path, content]) => ({
    path,
    sha256: createHash('sha256').update(content).digest('hex'),
  }))
  const sorted = [...beside, ...files].toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return sorted.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join('')
}

/** What a backup had to leave out, as lines for the operator. */
export function describeUnreadable(unreadable: readonly UnreadableResource[]): string[] {
  return unreadable.map(
    (missing) =>
      `Not in the backup: ${nameOfUnreadable(missing)} (${missing.reason})${missing.excused ? ', excused' : ''}`,
  )
}

/** RESOURCE.GROUP, *.GROUP for a whole group, RESOURCE.GROUP/NAME for one of them: as BACKUP_EXCUSE takes it. */
export function nameOfUnreadable({ group, resource, name }: UnreadableResource): string {
  return `${resource}${group ? `.${group}` : ''}${name === undefined ? '' : `/${name}`}`
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
