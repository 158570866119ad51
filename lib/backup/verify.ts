import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import pMap from 'p-map'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { measure, plainContent, storedContent } from './archive.ts'
import { codeFile } from './authenticity.ts'
import type { Bytes, Decryption } from './encryption.ts'
import { type FileEntry, type Manifest, manifestFile, readManifest, sumsFile } from './manifest.ts'
import { manifestProblems } from './manifest-proof.ts'

/** What reading a whole backup back has shown. */
export interface Verification {
  manifest: Manifest
  files: number
  bytes: number
  objects: number
  /** whether the encrypted files were opened too, or only hashed */
  opened: boolean
  /** each names the broken file and what is wrong with it; none is well */
  problems: string[]
}

const atOnce = 4
const newline = 0x0a

/**
 * Reads every file of a backup: size and SHA-256 against the manifest, decompressed, decrypted when there is an identity, and the
 * objects counted. Nothing is written.
 * @param decryption of AGE_IDENTITY_FILE, when it is at hand
 * @throws OperatorError when there is no manifest, or the identity is not one of its recipients
 */
export async function verifyBackup(folder: string, decryption?: Decryption): Promise<Verification> {
  const manifest = await readManifest(folder)
  if (decryption) assertRecipient(decryption, manifest.recipients, folder)
  const counts = await pMap(
    manifest.files,
    (file) => verifyFile(folder, manifest, file, decryption).catch(readError(file)),
    {
      concurrency: atOnce,
    },
  )
  const known = new Set([manifestFile, sumsFile, codeFile, ...manifest.files.map(({ path }) => path)])
  const strangers = (await filesIn(folder)).filter((path) => !known.has(path))
  return {
    manifest,
    files: manifest.files.length,
    bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0),
    objects: manifest.resources.reduce((sum, resource) => sum + resource.count, 0),
    opened: decryption !== undefined,
    problems: [
      ...contradictions(manifest),
      ...counts.flatMap((problem) => problem ?? []),
      ...strangers.map((path) => `${path} is not in the manifest`),
      ...(await manifestProblems(folder, manifest, decryption)),
    ],
  }
}

/**
 * An identity that opens nothing of the backup is found out now, and not on the evening when it is needed.
 * @throws OperatorError when none of the identities belongs to one of the recipients
 */
export function assertRecipient(decryption: Decryption, recipients: readonly string[], what: string): void {
  if (decryption.recipients.some((recipient) => recipients.includes(recipient))) return
  throw new OperatorError(`The identity in ${decryption.identityFile} does not open ${what}.`, {
    means: `It belongs to ${decryption.recipients.join(', ')}; encrypted was to ${recipients.join(', ')}.`,
    next: 'Set AGE_IDENTITY_FILE to the identity of one of these recipients, or correct AGE_RECIPIENTS.',
  })
}

/** @throws OperatorError that names every broken file */
export function assertWhole(folder: string, { problems }: Verification): void {
  if (problems.length === 0) return
  const shown = problems.slice(0, 20).map((problem) => `  ${problem}`)
  if (problems.length > shown.length) shown.push(`  and ${problems.length - shown.length} more`)
  throw new OperatorError(`The backup ${folder} is not whole:\n${shown.join('\n')}`, {
    means: 'It cannot be relied upon for coming back.',
    next: 'Take a new one before anything is changed: task migrate:backup',
  })
}

/** @returns what is wrong with the file, in words that name it; undefined when nothing is */
async function verifyFile(folder: string, manifest: Manifest, file: FileEntry, decryption: Decryption | undefined) {
  const there = await stat(join(folder, file.path)).catch(() => undefined)
  if (!there?.isFile()) return `${file.path} is missing`
  if (there.size < file.bytes) return `${file.path} is cut off: ${there.size} of ${file.bytes} bytes are there`
  if (there.size > file.bytes) return `${file.path} has grown: ${there.size} bytes instead of ${file.bytes}`
  const stored = measure()
  if (file.encrypted && !decryption) {
    await count(stored.through(storedContent(folder, file.path)))
    return stored.sha256() === file.sha256 ? undefined : changed(file)
  }
  try {
    const plain = measure()
    const content = plainContent(file.path, stored.through(storedContent(folder, file.path)), decryption)
    const { lines } = await count(plain.through(notMoreThan(file.plainBytes, content)))
    if (stored.sha256() !== file.sha256) return changed(file)
    return contentProblem(manifest, file, { lines, bytes: plain.bytes(), sha256: plain.sha256() })
  } catch (error) {
    return await whyUnreadable(folder, file, error)
  }
}

/** A disk that cannot give back what it took is told as what it is: with the file, beside all that else is wrong. */
function readError({ path }: FileEntry) {
  return (error: NodeJS.ErrnoException): string => {
    if (error.code === undefined) throw error
    return `${path} cannot be read back: ${messageOf(error)}`
  }
}

const changed = (file: FileEntry) => `${file.path} has changed: its SHA-256 is not the manifest's`

/** A file that does not unpack was mostly changed on the disk, and that is the better thing to say. */
async function whyUnreadable(folder: string, file: FileEntry, error: unknown): Promise<string> {
  const stored = measure()
  await count(stored.through(storedContent(folder, file.path)))
  return stored.sha256() === file.sha256 ? `${file.path} cannot be unpacked: ${messageOf(error)}` : changed(file)
}

function contentProblem(manifest: Manifest, file: FileEntry, plain: { lines: number; bytes: number; sha256: string }) {
  if (plain.bytes !== file.plainBytes)
    return `${file.path} unpacks to ${plain.bytes} bytes instead of ${file.plainBytes}`
  const resource = manifest.resources.find(({ path }) => path === file.path)
  if (resource && resource.count !== plain.lines) {
    return `${file.path} holds ${plain.lines} objects, and the manifest says ${resource.count}`
  }
  const { snapshot } = manifest
  if (snapshot?.path === file.path && (snapshot.sha256 !== plain.sha256 || snapshot.bytes !== plain.bytes)) {
    return `${file.path} holds another snapshot than the manifest says`
  }
  return undefined
}

/** What a manifest says against itself. */
function contradictions(manifest: Manifest): string[] {
  const files = new Map(manifest.files.map((file) => [file.path, file]))
  const named = [
    ...manifest.resources.flatMap(({ path }) => path ?? []),
    ...(manifest.snapshot ? [manifest.snapshot.path] : []),
  ]
  return [
    ...(files.size < manifest.files.length ? [`${manifestFile} names a file twice`] : []),
    ...named.filter((path) => !files.has(path)).map((path) => `${manifestFile} names ${path}, and not its SHA-256`),
    ...manifest.files
      .filter((file) => file.encrypted !== file.path.endsWith('.age'))
      .map(({ path }) => `${manifestFile} is wrong about whether ${path} is encrypted`),
  ]
}

async function count(content: Bytes): Promise<{ lines: number }> {
  let lines = 0
  for await (const chunk of content) {
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, at + 1)) lines++
  }
  return { lines }
}

/** A few bytes can unpack to more than any disk or memory holds. */
async function* notMoreThan(limit: number, content: Bytes): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of content) {
    bytes += chunk.length
    if (bytes > limit) throw new Error(`it unpacks to more than the ${limit} bytes that the manifest says`)
    yield chunk
  }
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
}
