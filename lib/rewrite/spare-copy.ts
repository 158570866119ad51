import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod'
import type { RepositoryPath } from './repository.ts'
import { sha256 } from './repository-files.ts'

/** What one file held before it was written over, from the first byte on that changes. */
export interface SpareTail {
  readonly path: RepositoryPath
  readonly at: number
  readonly tail: Buffer
}

const header = z.object({
  sum: z.string(),
  tails: z.array(z.object({ path: z.string(), at: z.number(), length: z.number() })),
})

/**
 * Writes down, to the disk, what is about to be written over, so that a kill in the middle of a file loses none of it. The file lies where
 * Git keeps what is its own: on the repository's own disk, never committed, readable by its owner alone, and gone when all is written.
 */
export function writeSpareCopy(file: string, tails: readonly SpareTail[]): void {
  const bytes = Buffer.concat(tails.map(({ tail }) => tail))
  const told = tails.map(({ path, at, tail }) => ({ path, at, length: tail.length }))
  const descriptor = openSync(file, 'w', 0o600)
  try {
    writeAll(descriptor, Buffer.from(`${JSON.stringify({ sum: sha256(bytes), tails: told })}\n`), null)
    writeAll(descriptor, bytes, null)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  syncFolder(dirname(file))
}

/** @returns none when it is not there, or was cut off: then nothing was written over yet */
export function readSpareCopy(file: string): SpareTail[] {
  if (!existsSync(file)) return []
  const content = readFileSync(file)
  const end = content.indexOf('\n')
  const bytes = content.subarray(end + 1)
  const told = end < 0 ? undefined : header.parse(JSON.parse(content.toString('utf8', 0, end)))
  if (told === undefined || sha256(bytes) !== told.sum) return []
  let place = 0
  return told.tails.map(({ path, at, length }) => {
    place += length
    return { path: path as RepositoryPath, at, tail: bytes.subarray(place - length, place) }
  })
}

export function removeSpareCopy(file: string): void {
  rmSync(file, { force: true })
}

/** @param at null: behind what was written last */
export function writeAll(descriptor: number, bytes: Buffer, at: number | null): void {
  for (let written = 0; written < bytes.length; ) {
    const place = at === null ? null : at + written
    written += writeSync(descriptor, bytes, written, bytes.length - written, place)
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
