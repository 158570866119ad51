import { parseArgs } from 'node:util'
import { messageOf, OperatorError } from './errors.ts'
import type { Flags } from './migration.ts'

/** A word as it could be typed in a shell: quoted where it has to be. */
export function typed(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

const common = {
  'dry-run': { type: 'boolean' },
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  quiet: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** `optional string`: its value may be left out, and is then the empty text. `list`: it may be given several times; the values come with commas between. */
export type FlagKinds = Readonly<Record<string, 'string' | 'boolean' | 'optional string' | 'list'>>

/**
 * The flags that every phase takes, and the phase's own.
 * @throws OperatorError with exit code 2 for anything that is not a known flag; a silently ignored word could be the one that mattered
 */
export function parseFlags(args: readonly string[], own: FlagKinds = {}): Flags {
  const ownOptions = Object.fromEntries(
    Object.entries(own).map(([name, kind]) => [
      name,
      { type: kind === 'boolean' ? kind : ('string' as const), multiple: kind === 'list' },
    ]),
  )
  try {
    const { values } = parseArgs({
      args: args.map((arg, index) => (mayBeAlone(arg, own) && !isValue(args[index + 1]) ? `${arg}=` : arg)),
      options: { ...common, ...ownOptions },
      strict: true,
      allowPositionals: false,
    })
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
    ) as Flags
  } catch (error) {
    const assignment = args.find((arg) => /^[A-Z_]+=/.test(arg))
    throw new OperatorError(assignment ? `${assignment} stands after the dashes.` : messageOf(error), {
      ...(assignment ? { means: 'go-task passes what follows -- on as it is; a variable there sets nothing.' } : {}),
      next: assignment
        ? `Put it before them: task migrate:… ${assignment}`
        : `Known flags: ${[...Object.keys(common), ...Object.keys(own)].map((name) => `--${name}`).join(' ')}`,
      exitCode: 2,
    })
  }
}

function mayBeAlone(arg: string, own: FlagKinds): boolean {
  return arg.startsWith('--') && own[arg.slice(2)] === 'optional string'
}

function isValue(arg: string | undefined): boolean {
  return arg !== undefined && !arg.startsWith('-')
}
