// Which of many files may hold an old address. It is run in several threads and so imports nothing but Node.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** A file that could not be read, and why. */
export type Unreadable = readonly [path: string, why: string]

export interface Scanned {
  candidates: string[]
  unreadable: Unreadable[]
  /** what Git tracks as one thing and is a folder here: submodules */
  folders: string[]
}

const bufferSize = 1 << 18
/** So much is looked through at once: what fits into a processor's nearest memory. */
const batchSize = 1 << 16
/** No spelling is longer. */
const overlap = 400
// A link is not followed, and a pipe that nobody writes to is not waited for.
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Reads the files one behind the other into one buffer, and looks through it once each time it is full: most files are small, and
 * what is done for each of them counts.
 * @param root ends in a slash
 * @param paths latin1, as RepositoryPath
 * @param source what every spelling of an address matches, of a regular expression
 */
export function scanFiles(root: string, paths: readonly string[], source: string): Scanned {
  const found: Scanned = { candidates: [], unreadable: [], folders: [] }
  const batch = new Batch(new RegExp(source, 'g'), found.candidates)
  for (const path of paths) {
    try {
      const descriptor = openSync(onDisk(root, path), flags)
      try {
        batch.add(path, descriptor)
      } finally {
        closeSync(descriptor)
      }
    } catch (error) {
      const { code = String(error) } = error as NodeJS.ErrnoException
      if (code === 'EISDIR') found.folders.push(path)
      // Deleted, or a link: it holds nothing.
      else if (code !== 'ENOENT' && code !== 'ELOOP' && code !== 'ENOTDIR') found.unreadable.push([path, code])
    }
  }
  batch.search()
  return found
}

/** Where a path lies: as text where it is ASCII, which is faster. */
export function onDisk(root: string, path: string): string | Buffer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what ASCII is
  if (/^[\x00-\x7f]*$/.test(path)) return root + path
  return Buffer.concat([Buffer.from(root), Buffer.from(path, 'latin1')])
}

class Batch {
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize)
  readonly #pattern: RegExp
  readonly #candidates: string[]
  #paths: string[] = []
  #ends: number[] = []
  #used = 0

  constructor(pattern: RegExp, candidates: string[]) {
    this.#pattern = pattern
    this.#candidates = candidates
  }

  add(path: string, descriptor: number): void {
    if (this.#used > batchSize) this.search()
    const room = bufferSize - this.#used - 1
    const read = readSync(descriptor, this.#buffer, this.#used, room, null)
    if (read === room) {
      if (this.#isInLarge(descriptor)) this.#candidates.push(path)
      return
    }
    this.#used += read
    // What two files hold is not one text.
    this.#buffer[this.#used++] = 0
    this.#paths.push(path)
    this.#ends.push(this.#used)
  }

  search(): void {
    const text = this.#buffer.toString('latin1', 0, this.#used)
    this.#pattern.lastIndex = 0
    for (let file = 0, match = this.#pattern.exec(text); match !== null; match = this.#pattern.exec(text)) {
      while ((this.#ends[file] ?? Number.POSITIVE_INFINITY) <= match.index) file += 1
      this.#candidates.push(this.#paths[file] ?? '')
      this.#pattern.lastIndex = this.#ends[file] ?? text.length
    }
    this.#paths = []
    this.#ends = []
    this.#used = 0
  }

  /** In pieces that overlap, whatever its size. */
  #isInLarge(descriptor: number): boolean {
    this.search()
    const { size } = fstatSync(descriptor)
    for (let place = 0; place < size; place += bufferSize - overlap) {
      const read = readSync(descriptor, this.#buffer, 0, bufferSize, place)
      this.#pattern.lastIndex = 0
      if (this.#pattern.test(this.#buffer.toString('latin1', 0, read))) return true
      if (read < bufferSize) return false
    }
    return false
  }
}
