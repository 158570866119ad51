import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { codeFile } from './authenticity.ts'
import { diskError, type Estimate, sizeOf, syncFolder } from './disk.ts'
import type { Bytes, Decryption, Encryption } from './encryption.ts'
import {
  archivePath,
  type FileEntry,
  type Manifest,
  manifestFile,
  partialSuffix,
  sumsFile,
  sumsOf,
} from './manifest.ts'
import { writerFile } from './writer.ts'

const readChunkBytes = 256 * 1024

/**
 * A backup being written: a folder NAME.partial that gets its real name only when all of it is on the disk.
 * The suffixes of a file's name say what is done to it: `.gz` is compressed, `.age` is encrypted, `.gz.age` first the one and then the other.
 */
export class Archive {
  readonly name: string
  /** where it is written */
  readonly partial: string
  /** where it is when it is whole */
  readonly folder: string
  /** how large it will be, for the error when the disk is full */
  expected: Estimate | undefined
  readonly #encryption: Encryption
  readonly #backupDir: string

  /** Of a folder that is there already (a run goes on), or that is not needed (a dry run). */
  constructor(backupDir: string, name: string, encryption: Encryption) {
    this.name = archivePath.parse(name)
    this.folder = join(backupDir, name)
    this.partial = this.folder + partialSuffix
    this.#backupDir = backupDir
    this.#encryption = encryption
  }

  /**
   * Begins anew: what an earlier attempt left under the same name is removed.
   * @throws OperatorError when the folder cannot be made, or a whole backup has that name already
   */
  static async begin(backupDir: string, name: string, encryption: Encryption): Promise<Archive> {
    const archive = new Archive(backupDir, name, encryption)
    try {
      await mkdir(backupDir, { recursive: true, mode: 0o700 })
      if ((await readdir(backupDir)).includes(name)) throw new Error('a backup of that name is there already')
      await archive.abandon()
      await mkdir(archive.partial, { mode: 0o700 })
    } catch (error) {
      throw new OperatorError(`The backup folder ${archive.folder} cannot be made: ${messageOf(error)}`, {
        next: 'Check that BACKUP_DIR exists, can be written to, and has room.',
        cause: error,
      })
    }
    return archive
  }

  /** `partial` while it is being written, `whole` when it has been finished, `gone` when there is neither. */
  async state(): Promise<'partial' | 'whole' | 'gone'> {
    const names = await readdir(this.#backupDir).catch((): string[] => [])
    if (names.includes(this.name)) return 'whole'
    return names.includes(this.name + partialSuffix) ? 'partial' : 'gone'
  }

  /**
   * Writes one file, and is done when it is on the disk. A file of the same path is replaced.
   * @param path relative to the archive; its suffixes say how it is written
   * @throws OperatorError when the disk is full or cannot be written to; whatever `source` throws
   */
  async add(path: string, source: Bytes | Uint8Array): Promise<FileEntry> {
    const file = join(this.partial, archivePath.parse(path))
    const encrypted = path.endsWith('.age')
    const plain = tally()
    const written = measure()
    const stages: ((bytes: Bytes) => Bytes)[] = [plain.through]
    if (/\.gz(\.age)?$/.test(path)) stages.push(compress)
    if (encrypted) stages.push(this.#encryption.encrypt)
    stages.push(written.through)
    const bytes = stages.reduce<Bytes>(
      (input, stage) => stage(input),
      source instanceof Uint8Array ? once(source) : source,
    )
    await this.#write(file, bytes)
    return { path, bytes: written.bytes(), sha256: written.sha256(), encrypted, plainBytes: plain.bytes() }
  }

  /** Removes a file that was added, or was being added. */
  async drop(path: string): Promise<void> {
    await rm(join(this.partial, archivePath.parse(path)), { force: true })
  }

  /**
   * Writes the manifest and its sums, and gives the folder its real name; from then on it is a backup. Done once, it may be called again.
   * @param codeOf makes the code of the manifest's bytes (lib/backup/authenticity.ts); undefined when there is nothing to make it with
   * @returns the folder's final path
   * @throws OperatorError when a file that was added is not there any more
   */
  async finish(
    content: Omit<Manifest, 'version' | 'recipients'>,
    codeOf?: (manifest: Uint8Array) => string | undefined,
  ): Promise<string> {
    if ((await this.state()) === 'whole') return this.folder
    const files = content.files.toSorted((a, b) => (a.path < b.path ? -1 : 1))
    await this.#onDisk(this.partial, async () => {
      for (const file of files) await this.#assertThere(file)
    })
    const manifest: Manifest = { version: 1, ...content, recipients: [...this.#encryption.recipients], files }
    const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
    const code = codeOf?.(text)
    const beside = { [manifestFile]: text, ...(code === undefined ? {} : { [codeFile]: Buffer.from(`${code}\n`) }) }
    for (const [path, bytes] of Object.entries(beside)) await this.#write(join(this.partial, path), once(bytes))
    await this.#write(join(this.partial, sumsFile), once(Buffer.from(sumsOf(files, beside))))
    await this.#onDisk(this.partial, async () => {
      await this.drop(writerFile)
      for (const folder of new Set(files.map(({ path }) => dirname(join(this.partial, path))))) await syncFolder(folder)
      await syncFolder(this.partial)
      await rename(this.partial, this.folder)
      await syncFolder(this.#backupDir)
    })
    return this.folder
  }

  /** Removes what was written so far. */
  async abandon(): Promise<void> {
    await rm(this.partial, { recursive: true, force: true })
  }

  async #write(file: string, bytes: Bytes): Promise<void> {
    try {
      await this.#onDisk(file, async () => {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        await pipeline(bytes, createWriteStream(file, { mode: 0o600, flush: true }))
      })
    } catch (error) {
      // The journal may be on the same full disk, and has to be written now.
      await rm(file, { force: true }).catch(() => undefined)
      throw error
    }
  }

  /** Does something to the folder, and tells what it means when the disk fails. */
  async #onDisk<T>(file: string, act: () => Promise<T>): Promise<T> {
    try {
      // When a NAS is unmounted meanwhile, its empty mount point must not be written to instead.
      await stat(this.partial)
      return await act()
    } catch (error) {
      throw await diskError(error, { file, written: await sizeOf(this.partial), expected: this.expected })
    }
  }

  async #assertThere({ path, bytes }: FileEntry): Promise<void> {
    const there = await stat(join(this.partial, path)).catch(() => undefined)
    if (there?.size === bytes) return
    throw new OperatorError(`${join(this.partial, path)} was written, and is not there any more as it was.`, {
      means: 'Somebody changed the backup folder while the backup was being taken.',
      next: `Remove ${this.partial} and run the same command again: it begins anew.`,
    })
  }
}

/** `<cluster>-<YYYYMMDDTHHMMSSZ>`: sorts by age, and needs no quoting. */
export function archiveName(cluster: string, at: Date): string {
  const stamp = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')
  return `${cluster}-${stamp}`
}

/** The unfinished backups in the folder, by their paths. None of them is a backup. */
export async function unfinished(backupDir: string): Promise<string[]> {
  const names = await readdir(backupDir).catch((): string[] => [])
  return names.filter((name) => name.endsWith(partialSuffix)).map((name) => join(backupDir, name))
}

/** The bytes of a file in a backup as they lie there. */
export function storedContent(folder: string, path: string): Bytes {
  return fileContent(join(folder, archivePath.parse(path)))
}

/** The bytes of any file. It is opened when the first of them is asked for: an error before that would have no one to catch it. */
export async function* fileContent(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: readChunkBytes })
}

/**
 * The plain content of a file in a backup: decrypted and decompressed as its suffixes say. Nothing touches the disk.
 * @param stored the file's bytes, by storedContent
 * @throws OperatorError when an encrypted file is read without a decryption, or does not open
 */
export function plainContent(path: string, stored: Bytes, decryption: Decryption | undefined): Bytes {
  const decrypted = path.endsWith('.age') ? requireDecryption(decryption, path).decrypt(stored, path) : stored
  return /\.gz(\.age)?$/.test(path) ? decompress(decrypted) : decrypted
}

function requireDecryption(decryption: Decryption | undefined, path: string): Decryption {
  if (decryption !== undefined) return decryption
  throw new OperatorError(`${path} is encrypted, and no identity to open it with is set.`, {
    next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.',
  })
}

/** Counts and hashes what passes through it. */
export function measure() {
  const hash = createHash('sha256')
  let bytes = 0
  return {
    through: async function* (source: Bytes): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        hash.update(chunk)
        bytes += chunk.length
        yield chunk
      }
    },
    bytes: () => bytes,
    /** in hex; once only */
    sha256: () => hash.digest('hex'),
  }
}

/** Counts what passes through it. */
function tally() {
  let bytes = 0
  return {
    through: async function* (source: Bytes): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        bytes += chunk.length
        yield chunk
      }
    },
    bytes: () => bytes,
  }
}

// Level 1: level 6 takes three times as long for a tenth less.
function compress(source: Bytes): Bytes {
  return throughTransform(source, createGzip({ level: constants.Z_BEST_SPEED, chunkSize: readChunkBytes }))
}

function decompress(source: Bytes): Bytes {
  return throughTransform(source, createGunzip({ chunkSize: readChunkBytes }))
}

async function* throughTransform(source: Bytes, transform: NodeJS.ReadWriteStream): AsyncGenerator<Uint8Array> {
  // The reader below sees the same failure, and with it the caller.
  const fed = pipeline(source, transform, { end: true })
  fed.catch(() => undefined)
  for await (const chunk of transform) yield chunk as Buffer
  await fed
}

/** Bytes that are all there, as a stream of one piece. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
