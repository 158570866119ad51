import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
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
  addBackupDisk(folder)
  return folder
}

/** What a work folder has on another disk, below it; and that disk: memory, where there is one, as a NAS is another machine. */
const onBackupDisk = 'nas/backup'
const otherDisk = '/dev/shm'

function addBackupDisk(folder: string): void {
  mkdirSync(join(folder, 'nas'), { mode: 0o700 })
  if (existsSync(otherDisk)) symlinkSync(mkdtempSync(join(otherDisk, 'practice-nas-')), join(folder, onBackupDisk))
  else mkdirSync(join(folder, onBackupDisk), { mode: 0o700 })
}

/** Brings what is on the other disk into a folder that is to survive. */
export function keepBackupDisk(folder: string): void {
  const place = join(folder, onBackupDisk)
  const disk = realpathSync(place)
  if (!lstatSync(place).isSymbolicLink()) return
  unlinkSync(place)
  cpSync(disk, place, { recursive: true, preserveTimestamps: true })
  rmSync(disk, { recursive: true, force: true })
}

/** Removes the folder, and what it has on the other disk. */
export function removeWorkFolder(folder: string): void {
  const place = join(folder, onBackupDisk)
  if (existsSync(place)) rmSync(realpathSync(place), { recursive: true, force: true, maxRetries: 3 })
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const folder = join(tmpdir(), name)
    try {
      const owner = ownerSchema.parse(JSON.parse(readFileSync(join(folder, ownerFile), 'utf8')))
      const mine = statSync(folder).uid === process.getuid?.()
      if (mine && !owner.keep && !isAlive(owner)) removeWorkFolder(folder)
    } catch {
      // Being made, or being removed, by another process in this moment.
    }
  }
}
