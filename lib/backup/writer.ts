import { readFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import * as z from 'zod'
import { startOf } from '../migration/lock.ts'

/** Who writes an unfinished backup lies in it until it is whole. */
export const writerFile = 'writer.json'

const writer = z.object({ host: z.string(), user: z.string(), pid: z.number(), started: z.string() })

/**
 * Notes in an unfinished backup that this process writes it. The lock of a run does not reach as far as BACKUP_DIR: two operators
 * with an OUTPUT_DIR each may share one.
 */
export async function markWriter(partial: string): Promise<void> {
  const { pid } = process
  const me = { host: hostname(), user: userInfo().username, pid, started: startOf(pid) ?? 'unknown' }
  await writeFileAtomic(join(partial, writerFile), `${JSON.stringify(me)}\n`, { mode: 0o600 })
}

/**
 * Who may be at work on an unfinished backup, in words for the operator: a process that is there, or one of another machine,
 * of which nothing can be known from here.
 */
export function livingWriter(partial: string): string | undefined {
  const found = readWriter(partial)
  if (found === undefined) return undefined
  const { host, user, pid, started } = found
  if (host === hostname() && startOf(pid) !== started) return undefined
  return `process ${pid} of ${user}@${host}`
}

function readWriter(partial: string): z.output<typeof writer> | undefined {
  try {
    return writer.parse(JSON.parse(readFileSync(join(partial, writerFile), 'utf8')))
  } catch {
    return undefined
  }
}
