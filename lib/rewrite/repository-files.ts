import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { RepositoryPath } from './repository.ts'
import { onDisk } from './scan.ts'

const run = promisify(execFile)
const largest = 500e6

/**
 * The whole of a regular file. Links are not followed, neither the file itself nor a folder on the way.
 * @returns undefined for what is not there, or is no regular file inside of the repository (any more)
 * @throws what open and read throw
 */
export function readWhole(root: string, path: RepositoryPath): Buffer | undefined {
  const place = onDisk(`${root}/`, path)
  const descriptor = openToRead(place)
  if (descriptor === undefined) return undefined
  try {
    const found = fstatSync(descriptor)
    if (!found.isFile() || !isAt(descriptor, place)) return undefined
    if (found.size > largest) throw new Error(`larger than ${largest / 1e6} MB`)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function openToRead(file: string | Buffer): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/**
 * Puts a new file in a file's place, all at once, with its mode and owner and, where there is GNU cp, its access lists and extended
 * attributes: for what has another name too, which keeps the old bytes, and for what may not be written.
 * @throws OperatorError that names the file
 */
export async function replaceFile(root: string, path: RepositoryPath, bytes: Buffer): Promise<void> {
  const fresh = temporaryFile(root, path)
  try {
    const old = await open(onDisk(`${root}/`, path), constants.O_RDONLY | constants.O_NOFOLLOW)
    const { mode, uid, gid } = await old.stat().finally(() => old.close())
    // Left behind by a kill, it is ours.
    await rm(fresh, { force: true })
    const file = await open(fresh, 'wx', 0o600)
    try {
      await file.writeFile(bytes)
      await keepOwner(file, uid, gid)
      await file.chmod(mode & 0o7777)
      await keepAttributes(root, path, fresh)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, onDisk(`${root}/`, path))
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined)
    throw cannotBeReplaced(path, error)
  }
}

export function cannotBeReplaced(path: RepositoryPath, error: unknown): OperatorError {
  return new OperatorError(`${shown(path)} cannot be replaced: ${messageOf(error)}`, {
    means: 'It is as it was. What was changed before it is in the undo file.',
    next: 'Give it back to yourself or make room, then the same command goes on; or take all of it back: task migrate:rewrite-ip -- --undo',
    cause: error,
  })
}

export function changedMeanwhile(path: RepositoryPath): OperatorError {
  return new OperatorError(`${shown(path)} is being changed by somebody else at this moment.`, {
    means: 'It is left as it is.',
    next: 'Close what writes to it, then the same command again.',
  })
}

/** Removes what a kill has left beside a file. */
export function removeLeftOver(root: string, path: RepositoryPath): void {
  rmSync(temporaryFile(root, path), { force: true })
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A path as it is shown: on one line, with what cannot be printed escaped as Git does. */
export function shown(path: RepositoryPath): string {
  const text = Buffer.from(path, 'latin1').toString()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are looked for
  return /[\x00-\x1f\x7f"\\\ufffd]/.test(text) ? JSON.stringify(text) : text
}

async function keepOwner(file: FileHandle, uid: number, gid: number): Promise<void> {
  const own = await file.stat()
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid)
}

/** Node knows neither. Without GNU cp, or for a name that no argument can hold, a file that is replaced loses them. */
async function keepAttributes(root: string, path: RepositoryPath, fresh: string | Buffer): Promise<void> {
  const old = onDisk(`${root}/`, path)
  if (typeof old !== 'string' || typeof fresh !== 'string') return
  await run('cp', ['--attributes-only', '--preserve=all', '--', old, fresh]).catch(() => undefined)
}

/** In the same folder, which a rename asks for; its name is told by the path, so that it is found again after a kill. */
function temporaryFile(root: string, path: RepositoryPath): string | Buffer {
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  return onDisk(`${root}/`, `${folder}.${sha256(Buffer.from(path, 'latin1')).slice(0, 16)}.rewrite-ip`)
}

/** Whether an open file lies at a path of which no folder is a link. Linux says where, without going the way again: see proc_pid_fd(5). */
function isAt(descriptor: number, place: string | Buffer): boolean {
  const link = process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : undefined
  try {
    const real = link === undefined ? realpathSync.native(place, 'buffer') : readlinkSync(link, 'buffer')
    return real.equals(Buffer.from(place))
  } catch {
    return false
  }
}
