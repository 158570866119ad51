import { join } from 'node:path'
import { systemClock } from '../../lib/migration/clock.ts'
import type { FlagKinds } from '../../lib/migration/command-line.ts'
import type { Console } from '../../lib/migration/console.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { runPhase } from '../../lib/migration/phase.ts'
import { temporaryFolder } from '../temporary-folder.ts'

/** Settings of a cluster that is nowhere, in a folder of its own, as the process environment gives them. */
export function environmentIn(folder: string): Record<string, string> {
  return {
    CLUSTER: 'catalyst',
    HOMELAB_DIR: folder,
    OUTPUT_DIR: join(folder, 'output'),
    BACKUP_DIR: join(folder, 'backup'),
    EARLIER_RUNS_DIR: join(folder, 'output/earlier-runs'),
    OPERATOR_TALOSCONFIG: join(folder, 'home/.talos/config'),
    OPERATOR_KUBECONFIG: join(folder, 'home/.kube/config'),
    HOSTS_FILE: join(folder, 'home/hosts'),
  }
}

export function newFolder(): string {
  return temporaryFolder('migration')
}

/** A console that remembers its lines instead of showing them. */
export function listeningConsole(): Console & { lines: string[] } {
  const lines: string[] = []
  const hear =
    (what: string) =>
    (...args: unknown[]): void => {
      lines.push([what, ...args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg)))].join(' '))
    }
  return {
    lines,
    phaseBegin: hear('phase'),
    phaseEnd: hear('end'),
    stepBegin: hear('begin'),
    stepEnd: (title, outcome, _seconds, note) => hear('step')(title, outcome, ...(note ? [note] : [])),
    change: hear('change'),
    detail: hear('detail'),
    live: hear('live'),
    info: hear('info'),
    warn: hear('warn'),
    error: (error) => hear('error')(error.what, error.means ?? '', error.next ?? ''),
    bug: (error) => hear('bug')(String(error)),
    call: () => undefined,
    facts: () => undefined,
    table: hear('table'),
    pause: () => undefined,
    resume: () => undefined,
  }
}

/** Runs a phase in this process; returns its exit code and what it said. */
export async function runIn(
  folder: string,
  name: string,
  body: (migration: Migration) => Promise<void>,
  args: string[] = [],
  more: Record<string, string> = {},
  flags: FlagKinds = {},
) {
  const console = listeningConsole()
  const exit = (code: number): never => {
    throw new Error(`exit ${code}`)
  }
  const prompt = { secret: async () => undefined, confirm: async () => undefined }
  const surroundings = {
    args,
    environment: { ...environmentIn(folder), ...more },
    clock: systemClock,
    exit,
    console,
    prompt,
  }
  const code = await runPhase({ name, body, flags }, surroundings)
  return { code, lines: console.lines }
}
