import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import * as z from 'zod'
import { type Clock, systemClock } from '../migration/clock.ts'
import { startOf } from '../migration/lock.ts'

const holderSchema = z.object({
  pid: z.number().int(),
  /** A process id is used again by the kernel, a pair of id and start is not. */
  started: z.string(),
  host: z.string(),
  since: z.string(),
  purpose: z.string(),
})

/** Who holds a lock, since when, and what for. */
export type LockHolder = z.infer<typeof holderSchema>

export interface FileLock {
  readonly path: string
  release(): void
}

/** A breaker is held for microseconds; one older than this belongs to a process that was killed in between. */
const breakerStaleAfterMs = 5_000

/**
 * Takes the lock file at `path`, or tells who has it. A lock whose process is gone is taken over.
 * `purpose` is what the holder does with it, in words that somebody who waits can read.
 * The file appears whole or not at all, because it is linked from a finished one (link(2) fails with EEXIST).
 */
export function tryLock(path: string, purpose: string): { lock: FileLock } | { holder: LockHolder } {
  mkdirSync(dirname(path), { recursive: true })
  const mine: LockHolder = {
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    host: hostname(),
    since: new Date().toISOString(),
    purpose,
  }
  for (;;) {
    if (createWhole(path, JSON.stringify(mine))) return { lock: { path, release: () => releaseOwn(path, mine) } }
    const holder = readHolder(path)
    if (holder === 'gone') continue
    if (holder !== 'torn' && isAlive(holder)) return { holder }
    breakStale(path)
  }
}

/**
 * Waits for the lock at `path`, asking every 250 ms. `onWait` is called whenever another holder is seen for the first time.
 * Throws the signal's reason when it aborts.
 */
export async function waitForLock(
  path: string,
  purpose: string,
  options: { onWait: (holder: LockHolder) => void; signal?: AbortSignal; clock?: Clock },
): Promise<FileLock> {
  const clock = options.clock ?? systemClock
  let seen = ''
  for (;;) {
    options.signal?.throwIfAborted()
    const attempt = tryLock(path, purpose)
    if ('lock' in attempt) return attempt.lock
    const key = `${attempt.holder.pid}/${attempt.holder.started}`
    if (key !== seen) options.onWait(attempt.holder)
    seen = key
    await clock.sleep(250, options.signal)
  }
}

/** True while the process that a lock names is running, and is the same one and not a later one of that id. */
export function isAlive(holder: Pick<LockHolder, 'pid' | 'started' | 'host'>): boolean {
  if (holder.host !== hostname()) return true
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const started = startOf(holder.pid)
  return started === undefined || holder.started === '' || started === holder.started
}

function createWhole(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}.${randomUUID()}`
  writeFileSync(draft, text, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

function readHolder(path: string): LockHolder | 'gone' | 'torn' {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'torn'
  }
}

/** Only one process may break a stale lock, and it looks again first: otherwise a second one would remove the first one's new lock. */
function breakStale(path: string): void {
  const breaker = `${path}.breaking`
  if (!createWhole(breaker, String(process.pid))) {
    const age = Date.now() - (statSync(breaker, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > breakerStaleAfterMs) rmSync(breaker, { force: true })
    return
  }
  try {
    const holder = readHolder(path)
    if (holder === 'torn' || (holder !== 'gone' && !isAlive(holder))) rmSync(path, { force: true })
  } finally {
    rmSync(breaker, { force: true })
  }
}

function releaseOwn(path: string, mine: LockHolder): void {
  const holder = readHolder(path)
  if (holder === 'gone' || holder === 'torn') return
  if (holder.pid === mine.pid && holder.since === mine.since) rmSync(path, { force: true })
}
