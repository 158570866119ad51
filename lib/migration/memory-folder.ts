import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Settings } from '../settings.ts'
import { OperatorError } from './errors.ts'

// From Linux' include/uapi/linux/magic.h: the file systems whose content is never anywhere but in memory (or swap).
const memoryFileSystems = new Set([0x01021994, 0x858458f6])
const prefix = 'talos-migrate-'

/**
 * Lends a folder that only exists in memory (0700, on tmpfs) for what must be a file and must not be on a disk: a plain etcd
 * snapshot, which holds every Secret. It is gone when `use` ends, however it ends; what a killed process has left is removed
 * at the next call. Note that tmpfs may be swapped out: an operator who minds encrypts the swap.
 * @throws OperatorError when settings.memoryDir is not there or lies on a disk
 */
export async function withMemoryFolder<T>(
  settings: Pick<Settings, 'memoryDir'>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  await assertInMemory(settings.memoryDir)
  removeLeftOvers(settings)
  const name = `${prefix}${process.pid}-${startTime(process.pid) ?? 0}-${randomBytes(4).toString('hex')}`
  const folder = join(settings.memoryDir, name)
  const removeNow = () => rmSync(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  process.on('exit', removeNow)
  try {
    return await use(folder)
  } finally {
    process.off('exit', removeNow)
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Asserts that a folder's content is held in memory: by statfs(2)'s type on Linux. Other systems do not tell; there it must
 * at least be a file system of its own, such as a RAM disk.
 * @throws OperatorError that names MEMORY_DIR
 */
export async function assertInMemory(folder: string): Promise<void> {
  const next =
    process.platform === 'linux'
      ? 'Set MEMORY_DIR to a tmpfs, such as /dev/shm or /run/user/<uid>.'
      : 'Make a RAM disk and set MEMORY_DIR to it. On macOS: diskutil erasevolume APFS ram $(hdiutil attach -nomount ram://4194304), then MEMORY_DIR=/Volumes/ram.'
  const there = await stat(folder).catch(() => null)
  if (!there?.isDirectory()) throw new OperatorError(`There is no folder ${folder} (MEMORY_DIR).`, { next })
  const inMemory =
    process.platform === 'linux'
      ? memoryFileSystems.has((await statfs(folder)).type)
      : there.dev !== (await stat(dirname(folder))).dev
  if (inMemory) return
  throw new OperatorError(`${folder} (MEMORY_DIR) lies on a disk, not in memory.`, {
    means: 'A plain etcd snapshot holds every Secret of the cluster; it is never written to a disk.',
    next,
  })
}

/**
 * Removes the folders of processes that are gone, which killed ones leave behind. Names carry pid and start time, so that a
 * reused pid is not taken for the owner. A memory folder that is not there holds nothing.
 */
export function removeLeftOvers({ memoryDir }: Pick<Settings, 'memoryDir'>): void {
  if (!existsSync(memoryDir)) return
  for (const name of readdirSync(memoryDir)) {
    const owner = /^talos-migrate-(\d+)-(\d+)-[0-9a-f]+$/.exec(name)
    if (!owner) continue
    const pid = Number(owner[1])
    const alive = owner[2] === '0' ? isAlive(pid) : startTime(pid) === owner[2]
    if (alive) continue
    try {
      endUsersOf(join(memoryDir, name))
      rmSync(join(memoryDir, name), { recursive: true, force: true })
    } catch {
      // Another user's: not ours to remove, and not readable by us either.
    }
  }
}

/**
 * Ends what still works on a left-over folder: a talosctl of a run that was killed. Uploading its snapshot while the resumed
 * run uploads its own would give etcd a mixture of both. The folder's name is unique, so nothing else is meant.
 */
function endUsersOf(folder: string): void {
  if (process.platform !== 'linux') return
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // Gone by itself meanwhile, or another user's.
    }
  }
}

/** Field 22 of /proc/PID/stat (proc(5)), clock ticks since boot; undefined when there is no such process or no /proc. */
function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in brackets and may hold spaces and brackets itself.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
