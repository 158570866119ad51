import { createJsonConsole } from './console/json.ts'
import { createPlainConsole } from './console/plain.ts'
import { createSpinnerConsole } from './console/spinner.ts'
import type { OperatorError } from './errors.ts'

export type StepOutcome = 'done' | 'skipped' | 'failed'

/** What the operator sees. Three ways of showing it: spinners on a terminal, plain lines in a pipe, JSON events for programs. */
export interface Console {
  phaseBegin(name: string, summary: string): void
  phaseEnd(name: string, outcome: string, seconds: number): void
  stepBegin(title: string): void
  stepEnd(title: string, outcome: StepOutcome, seconds: number, note?: string): void
  /** A change that was made, or, in a dry run, would be made. */
  change(what: string, mode: 'made' | 'would be made' | 'undone'): void
  /** Live text behind the running step; lost when the next comes. */
  detail(text: string): void
  /** As detail, and only where a live line can be shown: what takes its place in a pipe comes otherwise. */
  live(text: string): void
  info(text: string): void
  warn(text: string): void
  error(error: OperatorError): void
  /** An unexpected error, with its stack. */
  bug(error: unknown): void
  /** A command that is run, or a call of the Kubernetes API: shown with --verbose, and in the log. */
  call(what: string): void
  /** The same as is shown in words, for programs: with --json alone. */
  facts(name: string, facts: unknown): void
  table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): void
  /** Takes the live line away, and gives it back: in between, something else uses the terminal. */
  pause(): void
  resume(): void
}

export interface ConsoleOptions {
  json?: boolean
  quiet?: boolean
  verbose?: boolean
  out?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number }
  environment?: Record<string, string | undefined>
}

/** Chooses by the terminal: NO_COLOR, CI and TERM=dumb are honoured. Source: https://no-color.org */
export function createConsole(options: ConsoleOptions = {}): Console {
  const out = options.out ?? process.stdout
  const environment = options.environment ?? process.env
  if (options.json) return createJsonConsole(out, { verbose: options.verbose ?? false })
  const plain = createPlainConsole(out, {
    quiet: options.quiet ?? false,
    verbose: options.verbose ?? false,
    colour: Boolean(out.isTTY) && !environment.NO_COLOR && environment.TERM !== 'dumb',
    // Narrower than this it is left to the terminal.
    width: () => (out.isTTY && out.columns ? Math.max(out.columns, 40) : Number.POSITIVE_INFINITY),
  })
  // A terminal that does not tell its width has 0 columns, in which a live line would be infinitely high.
  const live =
    Boolean(out.isTTY) && out.columns !== 0 && !environment.CI && environment.TERM !== 'dumb' && !options.quiet
  return live ? createSpinnerConsole(out, plain) : plain
}

/** The console that the flags of a command line ask for. What else they hold is the phase's own. */
export function consoleFor({ json, quiet, verbose }: Readonly<Record<string, string | boolean>>): Console {
  return createConsole({ json: json === true, quiet: quiet === true, verbose: verbose === true })
}

/** Shows the same to both: the terminal and the log of the run. */
export function bothConsoles(first: Console, second: Console): Console {
  const both =
    <Name extends keyof Console>(name: Name) =>
    (...args: Parameters<Console[Name]>): void => {
      for (const console of [first, second]) (console[name] as (...args: Parameters<Console[Name]>) => void)(...args)
    }
  return {
    phaseBegin: both('phaseBegin'),
    phaseEnd: both('phaseEnd'),
    stepBegin: both('stepBegin'),
    stepEnd: both('stepEnd'),
    change: both('change'),
    detail: both('detail'),
    live: both('live'),
    info: both('info'),
    warn: both('warn'),
    error: both('error'),
    bug: both('bug'),
    call: both('call'),
    facts: both('facts'),
    table: both('table'),
    pause: both('pause'),
    resume: both('resume'),
  }
}
