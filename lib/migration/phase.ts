import { basename } from 'node:path'
import { loadSettings, type Settings } from '../settings.ts'
import { listenToCalls } from './calls.ts'
import { type Clock, systemClock } from './clock.ts'
import { type FlagKinds, parseFlags, typed } from './command-line.ts'
import { everythingIsRead, outliveReaders } from './console/readers.ts'
import { bothConsoles, type Console, consoleFor, createConsole } from './console.ts'
import { keepRun } from './earlier-runs.ts'
import { Interrupted, messageOf, OperatorError, RemoteError } from './errors.ts'
import { evening, isOver, isTakenBack } from './evening.ts'
import { Interrupt } from './interrupt.ts'
import { Journal } from './journal.ts'
import { type Lock, takeLock } from './lock.ts'
import { logConsole } from './log.ts'
import { removeLeftOvers } from './memory-folder.ts'
import { type Flags, Migration } from './migration.ts'
import { endOf, notify } from './notify.ts'
import { standsAlone, verifyOrder } from './order.ts'
import { type Phase, phaseNamed } from './phases.ts'
import { type Prompt, terminalPrompt } from './prompt.ts'
import { createRun, currentRun, type RunFolder, verifySameMigration } from './run-folder.ts'

type Body = (migration: Migration) => Promise<void>

/** One phase as its script defines it: its name, its table of contents, and the flags of its own. */
export interface PhaseScript {
  readonly name: string
  readonly body: Body
  readonly flags: FlagKinds
}

/** What a phase needs of the process around it; passed in so that tests can stand in for it. */
export interface Surroundings {
  args: readonly string[]
  environment: Record<string, string | undefined>
  clock: Clock
  exit: (code: number) => never
  prompt: Prompt
  console?: Console
  /** Set when the chain already holds the cluster's lock. */
  locked?: true
}

/** The process that a script is started in. */
export const thisProcess: Surroundings = {
  args: process.argv.slice(2),
  environment: process.env,
  clock: systemClock,
  exit: process.exit,
  prompt: terminalPrompt(),
}

/**
 * What every script of scripts/ calls. Started as a program, the script runs its phase and ends the process:
 * 0 done, 1 a check failed or an operator's error, 2 wrong usage or settings, 130 interrupted. Imported, it only defines it.
 * @param name the phase's name, which is the file's
 * @param body the phase's table of contents
 * @param flags the phase's own command line flags
 */
export async function phase(name: string, body: Body, flags: FlagKinds = {}): Promise<PhaseScript> {
  const script = { name, body, flags }
  if (isProgram(name)) await asProgram(() => runPhase(script, thisProcess))
  return script
}

/** Ends the process with the exit code, when whoever reads has read everything. */
export async function asProgram(run: () => Promise<number>): Promise<void> {
  outliveReaders()
  const code = await run()
  await everythingIsRead()
  process.exit(code)
}

/** Whether the process was started as scripts/NAME.ts or dist/NAME.js. */
export function isProgram(name: string): boolean {
  return /^(.*)\.[jt]s$/.exec(basename(process.argv[1] ?? ''))?.[1] === name
}

/** Runs one phase and returns its exit code. */
export async function runPhase({ name, body, flags: own }: PhaseScript, surroundings: Surroundings): Promise<number> {
  let console = surroundings.console ?? createConsole({ json: surroundings.args.includes('--json') })
  try {
    const known = phaseNamed(name)
    if (!known) throw new Error(`scripts/${name} is not in the list of lib/migration/phases.ts`)
    const flags = parseFlags(surroundings.args, own)
    console = surroundings.console ?? consoleFor(flags)
    if (flags.help) return help(known, console, own)
    return await new PhaseRun(known, flags, loadSettings(surroundings.environment), console, surroundings).run(body)
  } catch (error) {
    return report(error, console)
  }
}

class PhaseRun {
  readonly #phase: Phase
  readonly #flags: Flags
  readonly #settings: Settings
  readonly #surroundings: Surroundings
  readonly #dryRun: boolean
  #console: Console

  constructor(known: Phase, flags: Flags, settings: Settings, console: Console, surroundings: Surroundings) {
    this.#phase = known
    this.#flags = flags
    this.#settings = settings
    this.#console = console
    this.#surroundings = surroundings
    this.#dryRun = flags['dry-run'] === true
  }

  async run(body: Body): Promise<number> {
    const changing = this.#phase.changes !== null && !this.#dryRun
    const { clock, locked } = this.#surroundings
    const lock = changing && !locked ? takeLock(this.#settings, this.#phase.name, clock.now) : null
    try {
      // A run that was killed may have left a decrypted snapshot in memory; what it changed is its journal's business.
      if (changing) removeLeftOvers(this.#settings)
      const { journal, runFolder } = this.#openRun(changing)
      if (this.#isDone(journal)) return this.#nothingToDo(journal)
      const place = { journal, settings: this.#settings, flags: this.#flags, dryRun: this.#dryRun }
      if (!this.#isWatching()) verifyOrder(this.#phase, place)
      const code = await this.#runIn(journal, runFolder, lock, body)
      if (changing && !locked)
        await notify(this.#settings, endOf(this.#phase.name, code, this.#settings), this.#console)
      return code
    } finally {
      lock?.release()
    }
  }

  #openRun(changing: boolean): { journal: Journal; runFolder: string } {
    const now = this.#surroundings.clock.now
    const current = currentRun(this.#settings)
    const { journaled, begins = true } = this.#phase
    const isOver = current && changing && begins && Journal.inMemory(current.journalPath, now).ended
    const underWay = isOver ? null : current
    const readsOnly = !changing && (this.#dryRun || !journaled || this.#isWatching())
    if (readsOnly || (underWay === null && !(changing && begins))) {
      return { journal: Journal.inMemory(underWay?.journalPath ?? null, now), runFolder: underWay?.path ?? '' }
    }
    const run: RunFolder = underWay ?? createRun(this.#settings, now)
    const journal = Journal.open(run.journalPath, now)
    verifySameMigration(this.#settings, journal, run)
    this.#console = bothConsoles(this.#console, logConsole(run))
    return { journal, runFolder: run.path }
  }

  #isWatching(): boolean {
    return this.#flags[this.#phase.watchesWith ?? ''] === true
  }

  #isDone(journal: Journal): boolean {
    const { name, changes, repeatable, undoes } = this.#phase
    if (changes === null || repeatable || journal.phaseState(name) !== 'done') return false
    if (undoes !== undefined && journal.doneAfter(undoes, name)) return false
    return !isTakenBack(name, journal)
  }

  #nothingToDo(journal: Journal): number {
    const done = journal.records.findLast(
      (r) => r.type === 'phase' && r.phase === this.#phase.name && r.state === 'done',
    )
    this.#console.info(`migrate:${this.#phase.name} was done at ${done?.at} in this run; nothing is left to do.`)
    this.#sayNext()
    journal.close()
    return 0
  }

  async #runIn(journal: Journal, runFolder: string, lock: Lock | null, body: Body): Promise<number> {
    const { name, summary } = this.#phase
    const { clock } = this.#surroundings
    const began = clock.elapsed()
    const seconds = () => (clock.elapsed() - began) / 1000
    const interrupt = this.#interrupt(journal, lock, seconds)
    const stopListening = interrupt.listen()
    const stopHearing = listenToCalls((call) => this.#console.call(call))
    journal.append({ type: 'phase', phase: name, state: this.#beginning(journal), pid: process.pid })
    this.#console.phaseBegin(name, this.#dryRun ? `${summary} (dry run: nothing is changed)` : summary)
    try {
      await body(this.#migration(journal, runFolder, interrupt))
      journal.append({ type: 'phase', phase: name, state: 'done', seconds: seconds() })
      const ends = name === 'verify' && isOver(this.#settings.scenario, journal)
      const alone = standsAlone(this.#phase, this.#settings.scenario, journal) && this.#phase.goesOnWith === undefined
      if (ends || alone) journal.append({ type: 'end' })
      this.#console.phaseEnd(name, 'done', seconds())
      this.#keep(journal)
      this.#sayNext()
      return 0
    } catch (error) {
      return this.#failed(error, journal, seconds())
    } finally {
      stopListening()
      stopHearing()
      journal.close()
    }
  }

  /** For the plans and reports of later evenings. */
  #keep({ path, records }: Journal): void {
    const run = records.find((record) => record.type === 'run')
    if (this.#dryRun || !this.#phase.journaled || path === null || run?.type !== 'run') return
    try {
      keepRun(this.#settings.earlierRunsDir, 'evening', run.id, path)
    } catch (error) {
      this.#console.warn(`How long it took is not kept for later plans (EARLIER_RUNS_DIR): ${messageOf(error)}`)
    }
  }

  #migration(journal: Journal, runFolder: string, interrupt: Interrupt): Migration {
    return new Migration({
      settings: this.#settings,
      console: this.#console,
      clock: this.#surroundings.clock,
      journal,
      interrupt,
      phase: this.#phase.name,
      runFolder,
      dryRun: this.#dryRun,
      flags: this.#flags,
      prompt: this.#surroundings.prompt,
    })
  }

  // A phase that only reads looks anew each time; one that changes goes on where it was stopped.
  #beginning(journal: Journal): 'begin' | 'resume' {
    const state = journal.phaseState(this.#phase.name)
    return this.#phase.changes === null || state === 'not begun' || state === 'done' ? 'begin' : 'resume'
  }

  #interrupt(journal: Journal, lock: Lock | null, seconds: () => number): Interrupt {
    const ask = () =>
      this.#console.warn('Interrupted: the current change is let to its end. Ctrl-C again stops at once.')
    const stop = (halfDone: boolean) => {
      if (halfDone)
        this.#console.warn('A change was abandoned half-way. The journal knows it; the same command takes it up again.')
      const code = this.#failed(new Interrupted(this.#phase.name), journal, seconds())
      lock?.release()
      this.#surroundings.exit(code)
    }
    return new Interrupt(ask, stop)
  }

  #failed(error: unknown, journal: Journal, seconds: number): number {
    const { name } = this.#phase
    const state = error instanceof Interrupted ? 'interrupted' : 'failed'
    journal.append({ type: 'phase', phase: name, state, seconds, message: messageOf(error) })
    this.#console.phaseEnd(name, state, seconds)
    if (!(error instanceof Interrupted)) return report(error, this.#console)
    if (this.#phase.changes !== null && !this.#dryRun) this.#console.info(`To go on from here: ${this.#command()}`)
    return 130
  }

  /** What the operator typed, but for --dry-run. */
  #command(): string {
    const flags = this.#surroundings.args.filter((arg) => arg !== '--dry-run')
    const name = this.#surroundings.locked ? 'run' : this.#phase.name
    return [`task migrate:${name}`, ...(flags.length > 0 ? ['--', ...flags.map(typed)] : [])].join(' ')
  }

  #sayNext(): void {
    // Within a chain the next phase comes by itself.
    if (this.#surroundings.locked) return
    const order = evening(this.#settings.scenario)
    const place = order.indexOf(this.#phase)
    const next = place < 0 ? undefined : order[place + 1]
    if (this.#dryRun) this.#console.info(`Nothing was changed. To do it: ${this.#command()}`)
    else if (next) this.#console.info(`Next: task migrate:${next.name}`)
  }
}

/** Shows an error in the operator's words and returns its exit code. */
export function report(error: unknown, console: Console): number {
  if (error instanceof OperatorError) {
    console.error(error)
    return error.exitCode
  }
  if (error instanceof Interrupted) return 130
  if (error instanceof RemoteError) {
    console.error(new OperatorError(error.message, { means: error.means, next: error.next, cause: error }))
    return 1
  }
  console.bug(error)
  return 1
}

function help(known: Phase, console: Console, own: FlagKinds): number {
  console.info(`task migrate:${known.name}: ${known.summary}.`)
  console.info(`Changes: ${known.changes ?? 'nothing'}.`)
  const flags = ['--dry-run', '--yes', '--json', '--quiet', '--verbose', ...Object.keys(own).map((name) => `--${name}`)]
  console.info(`Flags, after --: ${flags.join(' ')}`)
  return 0
}
