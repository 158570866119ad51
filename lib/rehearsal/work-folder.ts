import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { startOf } from '../migration/lock.ts'
import { isAlive } from './file-lock.ts'

const prefix = 'talos-rehearsal-'
const ownerFile = 'owner.json'
const ownerSchema = z.object({ pid: z.number(), started: z.string(), host: z.string(), keep: z.boolean() })

/**
 * Makes a folder for one practice cluster below the system's temporary folder (0700), and removes what processes left there
 * that were killed before they could. The path is short: a Unix socket's has at most 107 characters (unix(7)).
 * @param keep the folder survives its process
 */
export function makeWorkFolder(keep: boolean): string {
  removeAbandoned()
  const folder = mkdtempSync(join(tmpdir(), prefix))
  const owner = { pid: process.pid, started: startOf(process.pid) ?? '', host: hostname(), keep }
  writeFileSync(join(folder, ownerFile), JSON.stringify(owner))
  return folder
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const folder = join(tmpdir(), name)
    try {
      const owner = ownerSchema.parse(JSON.parse(readFileSync(join(folder, ownerFile), 'utf8')))
      const mine = statSync(folder).uid === process.getuid?.()
      if (mine && !owner.keep && !isAlive(owner)) rmSync(folder, { recursive: true, force: true })
    } catch {
      // Being made, or being removed, by another process in this moment.
    }
  }
}
