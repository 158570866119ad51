import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pMap from 'p-map'
import { seeded } from '../../test/seeded.ts'

export const [oldAddress, newAddress] = ['192.168.1.54', '192.168.1.160']
/** One file in so many holds the address, as in the homelab that the runbook is about. */
const everyNth = 100

/** Fills a folder with a Git repository of so many files of a homelab, committed and packed. */
export async function makeRepository(folder: string, files: number): Promise<void> {
  await pMap(Array.from({ length: files }).keys(), (at) => makeFile(folder, at), { concurrency: 32 })
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, '-c', 'gc.auto=0', ...args])
  git('init', '--quiet')
  git('add', '--all')
  git('-c', 'user.name=bench', '-c', 'user.email=bench@example.org', 'commit', '--quiet', '--message', 'all')
  // Loose objects would be read by grep, and are not what a repository consists of that has been used for a while.
  git('gc', '--quiet')
}

async function makeFile(folder: string, at: number): Promise<void> {
  const random = seeded(at + 1)
  const path = join(folder, `app-${at % 199}`, `part-${Math.floor(at / 199) % 23}`, `file-${at}.yaml`)
  await mkdir(dirname(path), { recursive: true })
  const lines = Array.from({ length: 20 + Math.floor(random() * 100) }, () => line(random))
  if (at % everyNth === 0) lines.push(`  server: https://${oldAddress}:6443`)
  await writeFile(path, `${lines.join('\n')}\n`)
}

function line(random: () => number): string {
  const word = () => Math.floor(random() * 1e9).toString(36)
  return `  ${word()}: ${word()} # 10.0.${Math.floor(random() * 256)}.${Math.floor(random() * 256)} ${word()}`
}
