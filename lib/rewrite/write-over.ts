import { execFile } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { OperatorError } from '../migration/errors.ts'
import type { RepositoryPath } from './repository.ts'
import { cannotBeReplaced, changedMeanwhile, readWhole, replaceFile } from './repository-files.ts'
import { onDisk } from './scan.ts'
import { readSpareCopy, removeSpareCopy, writeAll, writeSpareCopy } from './spare-copy.ts'

const run = promisify(execFile)
const fewFiles = 20

/** One file that is to hold other bytes. */
export interface Replacement {
  readonly path: RepositoryPath
  readonly was: Buffer
  readonly becomes: Buffer
}

/**
 * Writes other bytes into files, in their places: mode, owner, times of creation, access lists and extended attributes are theirs as before.
 * Killed at any moment, mendTorn leads back. When it returns, all is on the disk.
 * @param spare the file for what is written over
 * @throws OperatorError that names the file which cannot be written or has changed meanwhile; those before it are done, it is as it was
 */
export async function writeOver(root: string, files: readonly Replacement[], spare: string): Promise<void> {
  const tails = files.map(({ path, was, becomes }) => {
    const at = firstDifference(was, becomes)
    return { path, at, tail: was.subarray(at) }
  })
  writeSpareCopy(spare, tails)
  const done: RepositoryPath[] = []
  let failure: unknown
  try {
    for (const [place, file] of files.entries()) {
      const at = tails[place]?.at ?? 0
      if (overwrite(root, file, at)) done.push(file.path)
      else await replaceFile(root, file.path, file.becomes)
    }
  } catch (error) {
    failure = error
  }
  await toDisk(root, done)
  const isTorn = failure !== undefined && !(failure instanceof OperatorError)
  if (!isTorn) removeSpareCopy(spare)
  if (failure !== undefined) throw failure
}

/**
 * Puts what a kill has torn back as it was before: a file that holds some of the old bytes and some of the new ones. Whatever else is
 * found in a file is somebody's own, and left; the spare copy then stays, too.
 * @param becomes what a file was to hold, by what it held
 */
export function mendTorn(
  root: string,
  spare: string,
  becomes: (path: RepositoryPath, was: Buffer) => Buffer | undefined,
): void {
  let isMended = true
  for (const { path, at, tail } of readSpareCopy(spare)) {
    const bytes = readWhole(root, path) ?? Buffer.alloc(0)
    const was = Buffer.concat([bytes.subarray(0, at), tail])
    const fresh = becomes(path, was)
    if (fresh !== undefined && isMixed(bytes, was, fresh)) putBack(root, { path, was, becomes: fresh }, at)
    else if (fresh === undefined || !(bytes.equals(was) || bytes.equals(fresh))) isMended = false
  }
  if (isMended) removeSpareCopy(spare)
}

/** Whether a kill may have left a rewrite half-way through a file. */
export function mayBeTorn(spare: string): boolean {
  return existsSync(spare)
}

/** @returns false when it is not to be written over: it has another name too, or cannot be opened */
function overwrite(root: string, file: Replacement, at: number): boolean {
  const descriptor = openToWrite(root, file.path)
  if (descriptor === undefined) return false
  try {
    if (fstatSync(descriptor).nlink > 1) return false
    if (!readFileSync(descriptor).equals(file.was)) throw changedMeanwhile(file.path)
    try {
      writeTail(descriptor, file.becomes, at)
    } catch (error) {
      writeTail(descriptor, file.was, at)
      throw cannotBeReplaced(file.path, error)
    }
    return true
  } finally {
    closeSync(descriptor)
  }
}

function putBack(root: string, { path, was }: Replacement, at: number): void {
  const descriptor = openToWrite(root, path)
  if (descriptor === undefined) throw cannotBeReplaced(path, new Error('it cannot be opened any more'))
  try {
    writeTail(descriptor, was, at)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function writeTail(descriptor: number, bytes: Buffer, at: number): void {
  writeAll(descriptor, bytes.subarray(at), at)
  ftruncateSync(descriptor, bytes.length)
}

function openToWrite(root: string, path: RepositoryPath): number | undefined {
  try {
    return openSync(onDisk(`${root}/`, path), constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}

function firstDifference(one: Buffer, other: Buffer): number {
  const end = Math.min(one.length, other.length)
  let at = 0
  while (at < end && one[at] === other[at]) at += 1
  return at
}

function isMixed(bytes: Buffer, one: Buffer, other: Buffer): boolean {
  if (bytes.equals(one) || bytes.equals(other)) return false
  return bytes.every((byte, at) => byte === one[at] || byte === other[at])
}

/**
 * Many files by one call for the whole file system, instead of one for each, which would wait for the disk each time: see sync(1),
 * --file-system. Where there is no such thing, for what lies on another file system, and for few (it waits for what others write, too)
 * file by file.
 */
async function toDisk(root: string, paths: readonly RepositoryPath[]): Promise<void> {
  const device = statSync(root).dev
  const isSynced =
    process.platform === 'linux' &&
    paths.length > fewFiles &&
    (await run('sync', ['--file-system', root]).then(
      () => true,
      () => false,
    ))
  for (const path of paths) {
    const place = onDisk(`${root}/`, path)
    if (!isSynced || statSync(place).dev !== device) syncFile(place)
  }
}

function syncFile(place: string | Buffer): void {
  const descriptor = openSync(place, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
