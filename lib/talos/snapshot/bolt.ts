import { readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate as otherWork } from 'node:timers/promises'

const pageHeader = 16
const elementSize = 16
const flags = { branch: 0x01, leaf: 0x02, meta: 0x04 } as const
const magic = 0xed0cdaed
const bucketElement = 0x01
// A tree of 4 KiB pages is never this deep; a damaged one may point at itself.
const deepest = 40

/** What makes a bbolt file unreadable, told in the format's words. */
export class DamagedBoltFile extends Error {}

interface Meta {
  pageSize: number
  root: bigint
  pages: bigint
  transaction: bigint
}

interface Page {
  isLeaf: boolean
  count: number
  bytes: Buffer
}

interface Element {
  isBucket: boolean
  key: Buffer
  value: Buffer
}

/**
 * Reads bbolt's file format (go.etcd.io/bbolt, internal/common: meta, page, inode), page by page and without loading the
 * file: two meta pages of which the newer valid one counts, then a tree of branch and leaf pages per bucket.
 * Read only; etcd is not needed.
 */
export class BoltFile {
  readonly #file: FileHandle
  readonly #meta: Meta

  private constructor(file: FileHandle, meta: Meta) {
    this.#file = file
    this.#meta = meta
  }

  /** @throws DamagedBoltFile when neither meta page is valid */
  static async open(path: string): Promise<BoltFile> {
    const file = await open(path, 'r')
    try {
      return new BoltFile(file, newestMeta(file))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  /**
   * Visits the entries of a top level bucket in the order of their keys; none when there is no such bucket. What is visited is
   * a view of a page: to be copied when it is kept.
   * @throws DamagedBoltFile when the tree is not one
   */
  async visit(bucket: string, visitor: (key: Buffer, value: Buffer) => void): Promise<void> {
    const name = Buffer.from(bucket)
    let header: Buffer | undefined
    await this.#walk(this.#meta.root, 0, ({ isBucket, key, value }) => {
      if (isBucket && key.equals(name)) header = value
    })
    if (!header) return
    const root = header.readBigUInt64LE(0)
    const visitEntry = ({ isBucket, key, value }: Element) => {
      if (!isBucket) visitor(key, value)
    }
    // A small bucket has no page of its own: its one leaf page follows the 16 bytes of its header.
    if (root === 0n) eachElement(parsePage(header.subarray(16)), visitEntry)
    else await this.#walk(root, 0, visitEntry)
  }

  async #walk(id: bigint, depth: number, visitor: (element: Element) => void): Promise<void> {
    if (depth > deepest) throw new DamagedBoltFile('its page tree has no end')
    const page = this.#page(id)
    if (page.isLeaf) return eachElement(page, visitor)
    // Pages are read synchronously, which is ten times as fast; the spinner gets its turn at every branch.
    await otherWork()
    for (const child of children(page)) await this.#walk(child, depth + 1, visitor)
  }

  #page(id: bigint): Page {
    const { pageSize, pages } = this.#meta
    if (id < 2n || id >= pages) throw new DamagedBoltFile(`page ${id} does not exist`)
    const first = readAt(this.#file, Number(id) * pageSize, pageSize)
    if (first.readBigUInt64LE(0) !== id) throw new DamagedBoltFile(`page ${id} says that it is another`)
    const overflow = first.readUInt32LE(12)
    if (overflow === 0) return parsePage(first)
    if (id + BigInt(overflow) >= pages) throw new DamagedBoltFile(`page ${id} is longer than the file`)
    return parsePage(readAt(this.#file, Number(id) * pageSize, pageSize * (overflow + 1)))
  }
}

function newestMeta(file: FileHandle): Meta {
  const first = metaAt(file, 0)
  // The second meta page is one page further, and only the first tells how long a page is, unless it is the damaged one.
  const sizes = first ? [first.pageSize] : [4096, 8192, 16384, 65536]
  const others = sizes.map((size) => metaAt(file, size))
  const valid = [first, ...others].filter((meta) => meta !== null)
  const newest = valid.sort((a, b) => Number(b.transaction - a.transaction))[0]
  if (!newest) throw new DamagedBoltFile('it has no valid meta page: it is not a bbolt database')
  return newest
}

function metaAt(file: FileHandle, offset: number): Meta | null {
  const page = Buffer.alloc(pageHeader + 64)
  if (readSync(file.fd, page, 0, page.length, offset) < page.length) return null
  if ((page.readUInt16LE(8) & flags.meta) === 0) return null
  const meta = page.subarray(pageHeader)
  if (meta.readUInt32LE(0) !== magic || meta.readUInt32LE(4) !== 2) return null
  if (meta.readBigUInt64LE(56) !== fnv1a(meta.subarray(0, 56))) return null
  return {
    pageSize: meta.readUInt32LE(8),
    root: meta.readBigUInt64LE(16),
    pages: meta.readBigUInt64LE(40),
    transaction: meta.readBigUInt64LE(48),
  }
}

/** FNV-1a of 64 bits (draft-eastlake-fnv), the checksum of a meta page. */
function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash
}

function parsePage(bytes: Buffer): Page {
  const flag = bytes.readUInt16LE(8)
  if ((flag & (flags.branch | flags.leaf)) === 0)
    throw new DamagedBoltFile('a page of the tree is neither branch nor leaf')
  const count = bytes.readUInt16LE(10)
  if (pageHeader + count * elementSize > bytes.length) throw new DamagedBoltFile('a page has more elements than room')
  return { isLeaf: (flag & flags.leaf) !== 0, count, bytes }
}

function* children(page: Page): Generator<bigint> {
  for (let index = 0; index < page.count; index++)
    yield page.bytes.readBigUInt64LE(pageHeader + index * elementSize + 8)
}

function eachElement(page: Page, visitor: (element: Element) => void): void {
  for (let index = 0; index < page.count; index++) {
    const at = pageHeader + index * elementSize
    const start = at + page.bytes.readUInt32LE(at + 4)
    const middle = start + page.bytes.readUInt32LE(at + 8)
    const end = middle + page.bytes.readUInt32LE(at + 12)
    if (end > page.bytes.length) throw new DamagedBoltFile('an element reaches out of its page')
    const isBucket = (page.bytes.readUInt32LE(at) & bucketElement) !== 0
    visitor({ isBucket, key: page.bytes.subarray(start, middle), value: page.bytes.subarray(middle, end) })
  }
}

function readAt(file: FileHandle, offset: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  const bytesRead = readSync(file.fd, buffer, 0, length, offset)
  if (bytesRead < length) throw new DamagedBoltFile(`it ends at byte ${offset + bytesRead}`)
  return buffer
}
