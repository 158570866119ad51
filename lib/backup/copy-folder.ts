import { constants, createWriteStream } from 'node:fs'
import { access, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { formatBytes } from '../migration/console/bytes.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { fileContent, measure, storedContent } from './archive.ts'
import { type CopiedFile, type CopyPlace, type CopySource, hashOf, untouched } from './copy-place.ts'
import { codeOf, freeBytes, sizeOf, syncFolder } from './disk.ts'
import { partialSuffix } from './manifest.ts'
import { mountTables, onSameFileSystem, unmountedPoint } from './mounts.ts'

/**
 * A folder, such as one of a mounted NAS. It is never made: where it is missing, the NAS is, and the disk below would be filled instead.
 * @param backupDir where the backups themselves are
 */
export function folderPlace(folder: string, backupDir: string): CopyPlace {
  return {
    look: () => look(folder, backupDir),
    take: async (source, told) => {
      const target = join(folder, source.name)
      if (await exists(target)) return assertSame(target, source, told)
      const partial = target + partialSuffix
      try {
        await write(partial, source, told)
        await assertSame(partial, source, told)
        await rename(partial, target)
        await syncFolder(folder)
      } catch (error) {
        throw await failed(error, folder, partial, source)
      }
    },
  }
}

async function look(folder: string, backupDir: string): Promise<string[]> {
  const point = unmountedPoint(folder, await mountTables())
  if (point !== undefined) {
    throw new OperatorError(`Nothing is mounted at ${point}, and BACKUP_COPY_TO (${folder}) lies below it.`, {
      means:
        '/etc/fstab names it as a mount point: a copy would go to the disk below it. A backup that was taken is whole all the same.',
      next: `mount ${point}, then the same command again.`,
    })
  }
  const there = await stat(folder).catch(() => undefined)
  if (!there?.isDirectory()) {
    throw new OperatorError(`There is no folder ${folder} (BACKUP_COPY_TO).`, {
      means:
        'It is not made: where it is missing, its NAS is mostly not mounted. A backup that was taken is whole all the same.',
      next: `Mount it, or make it (mkdir ${folder}), then the same command again.`,
    })
  }
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw new OperatorError(`${folder} (BACKUP_COPY_TO) cannot be written to: ${messageOf(error)}`, {
      means: untouched,
      next: 'Give yourself the right to write there.',
      cause: error,
    })
  })
  if (!(await onSameFileSystem(folder, backupDir))) return []
  return [`BACKUP_COPY_TO (${folder}) is on the same disk as BACKUP_DIR: what breaks the one breaks the other.`]
}

async function write(partial: string, source: CopySource, told: (path: string) => void): Promise<void> {
  await mkdir(partial, { recursive: true, mode: 0o700 })
  const folders = new Set([partial])
  for (const file of source.files) {
    const target = join(partial, file.path)
    folders.add(dirname(target))
    if (await holds(target, file)) continue
    told(file.path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    const read = measure()
    const content = read.through(storedContent(source.folder, file.path))
    await pipeline(content, createWriteStream(target, { mode: 0o600, flush: true }))
    if (read.sha256() !== file.sha256) throw changedHere(source, file)
  }
  for (const folder of folders) await syncFolder(folder)
}

async function assertSame(folder: string, { files }: CopySource, told: (path: string) => void): Promise<void> {
  for (const file of files) {
    told(`reading back ${file.path}`)
    if (await holds(join(folder, file.path), file)) continue
    // The next attempt writes it anew.
    if (folder.endsWith(partialSuffix)) await rm(join(folder, file.path), { force: true })
    throw new OperatorError(`${join(folder, file.path)} is not what was copied: its SHA-256 is not the manifest's.`, {
      means:
        'The disk or the way to it is broken, or somebody changed it. The backup itself is whole; this copy is not one.',
      next: folder.endsWith(partialSuffix)
        ? 'The same command again copies it anew. If that ends here too, look after the disk.'
        : `A copy is never written over. Look at it, move it away (mv ${folder} ${folder}.broken), and repeat.`,
    })
  }
}

async function holds(path: string, { bytes, sha256 }: CopiedFile): Promise<boolean> {
  const there = await stat(path).catch(() => undefined)
  return there?.isFile() === true && there.size === bytes && (await hashOf(fileContent(path))).sha256 === sha256
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

function changedHere({ folder }: CopySource, { path }: CopiedFile): OperatorError {
  return new OperatorError(`${join(folder, path)} has changed: its SHA-256 is not the manifest's.`, {
    means: 'The backup was whole when it was read back, and is not any more. It was not copied.',
    next: 'Look after the disk of BACKUP_DIR, and take a new backup: task migrate:backup',
  })
}

async function failed(error: unknown, folder: string, partial: string, source: CopySource): Promise<unknown> {
  const code = await codeOf(error, folder)
  if (error instanceof OperatorError || code === undefined) return error
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  const whole = source.files.reduce((sum, { bytes }) => sum + bytes, 0)
  const there = await sizeOf(partial)
  const free = await freeBytes(folder)
  const room = `${formatBytes(there)} of ${formatBytes(whole)} are there${free === undefined ? '' : `, ${formatBytes(free)} are free`}. `
  return new OperatorError(
    `The copy to ${folder} (BACKUP_COPY_TO) failed: ${full ? 'its disk is full' : code === 'EROFS' ? 'it is read-only' : messageOf(error)}.`,
    {
      means: `${full ? room : ''}The backup ${source.folder} is whole; only the copy is missing.`,
      next: full
        ? `Free at least ${formatBytes(whole - there)} there, then the same command again: it goes on where it stopped.`
        : 'See that it is mounted and can be written to, then the same command again: it goes on where it stopped.',
      cause: error,
    },
  )
}
