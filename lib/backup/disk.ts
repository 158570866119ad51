import { access, constants, open, readdir, stat, statfs } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import { formatBytes } from '../migration/console/bytes.ts'
import { OperatorError } from '../migration/errors.ts'

/** How large a backup is likely to become. */
export type Estimate = {
  bytes: number
  /** what it was told from, as it stands in a sentence: "the newest whole backup, NAME" */
  basis: string
}

/** What was being written when a disk failed. */
export interface Writing {
  file: string
  /** bytes that are there of the whole backup */
  written: number
  expected: Estimate | undefined
}

/** Bytes that are free to this user where a folder is, or would be made; undefined when the file system does not tell (statfs(2)). */
export async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize, blocks } = await statfs(await nearestExisting(folder))
    // Some network file systems and FUSE tell nothing but zeros.
    return blocks === 0 ? undefined : bavail * bsize
  } catch {
    return undefined
  }
}

/** Bytes of all files in a folder; what vanishes meanwhile counts as nothing. */
export async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** The folder itself, or the nearest above it that is there. */
export async function nearestExisting(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  return found?.isDirectory() || dirname(path) === path ? path : nearestExisting(dirname(path))
}

const vanished = new Set(['ENOENT', 'ENOTDIR', 'ESTALE', 'EIO', 'ENODEV', 'ENXIO', 'ENOTCONN'])
// Those of a file that is open name no path.
const ofOpenFiles = new Set(['write', 'fsync', 'close'])

/** The code of errno(3) of a failed write. mkdir of Node says ENOENT for a folder on a file system that is read-only. */
export async function codeOf(error: unknown, folder: string): Promise<string | undefined> {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  if (code !== 'ENOENT') return code
  return access(folder, constants.W_OK).then(
    () => code,
    (refused: NodeJS.ErrnoException) => (refused.code === 'EROFS' ? 'EROFS' : code),
  )
}

/**
 * What a failed write to BACKUP_DIR means, by the code of errno(3).
 * @param error whatever was thrown; what does not come from the file or its folder is given back as it is
 * @returns an OperatorError for what an operator can do something about
 */
export async function diskError(error: unknown, writing: Writing): Promise<unknown> {
  const { path, syscall } = (error ?? {}) as NodeJS.ErrnoException
  const folder = dirname(writing.file)
  const code = await codeOf(error, await nearestExisting(folder))
  const ours =
    path === undefined ? ofOpenFiles.has(syscall ?? '') : writing.file.startsWith(path) || path.startsWith(folder)
  if (code === undefined || !ours) return error
  if (code === 'ENOSPC' || code === 'EDQUOT') return noRoom(error, code, writing)
  if (code === 'EROFS') {
    return new OperatorError(`${folder} has become read-only: ${basename(writing.file)} could not be written.`, {
      means:
        'A file system that meets an error of its disk often does so by itself (dmesg tells). There is no new backup.',
      next: 'Set BACKUP_DIR to another disk, or look after this one, and run the same command again.',
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new OperatorError(`${writing.file} may not be written (${code}).`, {
      means: 'The folder belongs to another user, or its server squashes root. There is no new backup.',
      next: 'Give yourself the right to write there, or set BACKUP_DIR to a folder of yours.',
      cause: error,
    })
  }
  if (!vanished.has(code)) return error
  return new OperatorError(`${folder} went away while the backup was written (${code}).`, {
    means: 'The disk was unplugged, or the NAS is unmounted or does not answer. There is no new backup.',
    next: 'Mount it again (and see that it is: df), then run the same command again.',
    cause: error,
  })
}

async function noRoom(cause: unknown, code: string, { file, written, expected }: Writing): Promise<OperatorError> {
  const folder = dirname(file)
  const free = await freeBytes(folder)
  const missing = expected && expected.bytes - written
  const told = [
    `${formatBytes(written)} are written`,
    expected ? `about ${formatBytes(expected.bytes)} are needed in all, by ${expected.basis}` : '',
    free === undefined ? '' : `${formatBytes(free)} are free`,
  ]
  const full = code === 'EDQUOT' ? 'Your quota' : 'The disk'
  const room =
    missing !== undefined && missing > 0 ? `Free at least ${formatBytes(missing)} more there` : 'Free some room there'
  return new OperatorError(`No room is left for the backup: ${basename(file)} could not be written whole.`, {
    means: `${full} of ${folder} is full: ${told.filter(Boolean).join('; ')}. What is there is not a backup; the next start goes on with it, or removes it.`,
    next: `${room}, or set BACKUP_DIR to another disk, and run the same command again.`,
    cause,
  })
}

/** Whether a path is a folder, or lies inside of it; both absolute. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** Has what was renamed, made or removed in a folder on the disk (fsync(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
