import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import type { Settings } from '../settings.ts'
import { OperatorError } from './errors.ts'

const lockSchema = z.object({
  token: z.string(),
  host: z.string(),
  user: z.string(),
  phase: z.string(),
  since: z.string(),
  pid: z.number(),
  started: z.string(),
})
type LockFile = z.output<typeof lockSchema>

/** One migration at a time per cluster. Two operators who do not know of each other are told of each other. */
export interface Lock {
  release(): void
}

/**
 * Takes the cluster's lock.
 * The lock of processes that are no longer there (killed, machine rebooted) is taken over.
 * @throws OperatorError naming who holds it, and since when
 */
export function takeLock(settings: Settings, phase: string, now: () => Date): Lock {
  const path = join(settings.outputDir, `${settings.cluster}.lock`)
  mkdirSync(settings.outputDir, { recursive: true, mode: 0o700 })
  const mine: LockFile = {
    token: randomUUID(),
    host: hostname(),
    user: userInfo().username,
    phase,
    since: now().toISOString(),
    pid: process.pid,
    started: startOf(process.pid) ?? 'unknown',
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    if (createExclusively(path, mine)) return { release: () => releaseLock(path, mine.token) }
    const other = readLock(path)
    if (other && isAlive(other)) throw lockedBy(other, path)
    setAside(path, other)
  }
  throw new OperatorError(`The lock ${path} changes hands all the time.`, {
    next: 'Look who else is migrating this cluster.',
  })
}

// A hard link appears whole or not at all, so that no reader ever sees an empty lock.
function createExclusively(path: string, lock: LockFile): boolean {
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, JSON.stringify(lock), { mode: 0o600 })
  try {
    linkSync(fresh, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(fresh, { force: true })
  }
}

function setAside(path: string, stale: LockFile | null): void {
  const aside = `${path}.${stale?.token ?? 'unreadable'}.stale`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return
  }
  // Somebody may have taken it over between our look and our move: give it back.
  const moved = readLock(aside)
  if (moved && moved.token !== stale?.token) renameSync(aside, path)
  else rmSync(aside, { force: true })
}

function releaseLock(path: string, token: string): void {
  if (readLock(path)?.token === token) rmSync(path, { force: true })
}

function readLock(path: string): LockFile | null {
  try {
    return lockSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

function isAlive(lock: LockFile): boolean {
  // Of another host's processes nothing can be known from here.
  if (lock.host !== hostname()) return true
  return startOf(lock.pid) === lock.started
}

/** When a process was started, in whatever unit the system has: tells a process from a later one with the same id. */
export function startOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' ? undefined : fields[19]
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}

function lockedBy(other: LockFile, path: string): OperatorError {
  const elsewhere = other.host !== hostname()
  return new OperatorError(
    `Another run holds the lock of this cluster: ${other.user}@${other.host}, process ${other.pid}, migrate:${other.phase}, since ${other.since}.`,
    {
      means: 'Two migrations of one cluster at once would undo each other. Nothing was changed.',
      next: elsewhere
        ? `Ask there. If that machine is gone for good: rm ${path}`
        : 'Wait until it is done, or end it with Ctrl-C in its terminal.',
    },
  )
}
