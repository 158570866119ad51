import { execFileSync } from 'node:child_process'
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemClock } from '../../lib/migration/clock.ts'
import { runPhase } from '../../lib/migration/phase.ts'
import rewriteIp from '../../scripts/rewrite-ip.ts'
import { environmentIn, listeningConsole } from '../migration/run-in-folder.ts'
import { temporaryFolder } from '../temporary-folder.ts'

// Many phases at once in one process, each of which listens for Ctrl-C.
process.setMaxListeners(0)

export type Files = Readonly<Record<string, string | Buffer>>

/** A Git repository that holds these files, committed. */
export function homelab(files: Files): string {
  const folder = realpathSync(temporaryFolder('homelab'))
  git(folder, 'init', '--quiet')
  write(folder, { '.gitignore': '/output/\n/backup/\n', ...files })
  commit(folder)
  return folder
}

export function write(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

export function commit(folder: string): void {
  git(folder, 'add', '--all')
  git(folder, '-c', 'user.name=test', '-c', 'user.email=test@example.org', 'commit', '--quiet', '--message', 'all')
}

export function git(folder: string, ...args: string[]): string {
  return execFileSync('git', ['-c', 'init.defaultBranch=main', '-C', folder, ...args], { encoding: 'utf8' })
}

/** The homelab's environment. What is kept of earlier runs lies among what Git ignores, as on an operator's machine it lies outside. */
export function environmentOf(folder: string): Record<string, string> {
  return { ...environmentIn(folder), EARLIER_RUNS_DIR: join(folder, 'output/earlier-runs') }
}

/** Runs `task migrate:rewrite-ip` in this process. */
export async function rewrite(
  folder: string,
  args: readonly string[],
  more: Record<string, string> = {},
  answer?: boolean,
) {
  const console = listeningConsole()
  const exit = (code: number): never => {
    throw new Error(`exit ${code}`)
  }
  const asked: string[] = []
  const code = await runPhase(rewriteIp, {
    args,
    environment: { ...environmentOf(folder), ...more },
    clock: systemClock,
    exit,
    console,
    prompt: {
      secret: async () => undefined,
      confirm: async (question) => {
        asked.push(question)
        return answer
      },
    },
  })
  return { code, asked, lines: console.lines, said: console.lines.join('\n') }
}

export const map = (...pairs: string[]) => pairs.flatMap((pair) => ['--map', pair])
