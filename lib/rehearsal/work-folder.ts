import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOf } from '../migration/lock.ts'

const prefix = 'talos-rehearsal-'
const ownerFile = 'owner.json'

/**
 * Makes a folder for one practice cluster below the system's temporary folder (0700), and removes what processes left there
 * that were killed before they could. The path is short: a Unix socket's has at most 107 characters (unix(7)).
 * @param keep the folder survives its process
 */
export function makeWorkFolder(keep: boolean): string {
  removeAbandoned()
  const folder = mkdtempSync(join(tmpdir(), prefix))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, ownerFile), JSON.stringify({ pid: process.pid, started: startOf(process.pid), keep }))
  return folder
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const folder = join(tmpdir(), name)
    try {
      const owner = JSON.parse(readFileSync(join(folder, ownerFile), 'utf8'))
      const mine = statSync(folder).uid === process.getuid?.()
      if (mine && !owner.keep && startOf(owner.pid) !== owner.started) rmSync(folder, { recursive: true, force: true })
    } catch {
      // Being made, or being removed, by another process in this moment.
    }
  }
}
