import type * as z from 'zod'
import type { Settings } from '../settings.ts'
import type { Clock } from './clock.ts'
import type { Console } from './console.ts'
import { Interrupted, messageOf } from './errors.ts'
import type { Interrupt } from './interrupt.ts'
import type { Journal, JournaledChange, Json, UndoData } from './journal.ts'
import { notify } from './notify.ts'
import type { Prompt } from './prompt.ts'
import { type Condition, waitFor } from './wait.ts'

export type { Journal, JournaledChange, Json, UndoData } from './journal.ts'
export type { Condition, Probe } from './wait.ts'

export type Flags = Readonly<Record<string, string | boolean>>
/** What became of an undo: done, not needed, or left alone because somebody changed the thing meanwhile. */
export type Undone = 'undone' | 'already' | `conflict: ${string}`

interface Parts {
  settings: Settings
  console: Console
  clock: Clock
  journal: Journal
  interrupt: Interrupt
  phase: string
  runFolder: string
  dryRun: boolean
  flags: Flags
  prompt: Prompt
}

/** What all phases share: the settings, the journal, the console, and the verbs by which a phase gets anything done. */
export class Migration {
  readonly settings: Settings
  readonly console: Console
  readonly clock: Clock
  readonly journal: Journal
  readonly phase: string
  readonly runFolder: string
  readonly dryRun: boolean
  readonly flags: Flags
  readonly prompt: Prompt
  readonly #interrupt: Interrupt
  readonly #steps: string[] = []

  constructor(parts: Parts) {
    this.settings = parts.settings
    this.console = parts.console
    this.clock = parts.clock
    this.journal = parts.journal
    this.phase = parts.phase
    this.runFolder = parts.runFolder
    this.dryRun = parts.dryRun
    this.flags = parts.flags
    this.prompt = besideLiveLine(parts)
    this.#interrupt = parts.interrupt
  }

  /** Aborts when the operator asks to stop. */
  get signal(): AbortSignal {
    return this.#interrupt.signal
  }

  /**
   * One line of the runbook: shown, measured, journaled; passed over, with its journaled result, when this run's journal proves it done.
   * @param title unique within the phase
   * @param fn its result is journaled in plain: JSON, no secrets
   * @throws whatever fn throws, after journaling it
   */
  step(title: string, fn: () => Promise<void>): Promise<void>
  step<T extends Json | undefined>(title: string, fn: () => Promise<T>): Promise<T>
  async step<T extends Json | undefined>(title: string, fn: () => Promise<T>): Promise<T> {
    this.#interrupt.check(title)
    const done = this.journal.doneStep(this.phase, title)
    if (done) {
      this.console.stepEnd(title, 'skipped', 0)
      return done.result as T
    }
    const began = this.clock.elapsed()
    const seconds = () => (this.clock.elapsed() - began) / 1000
    const place = { type: 'step', phase: this.phase, step: title } as const
    this.journal.append({ ...place, state: 'begin' })
    this.console.stepBegin(title)
    this.#steps.push(title)
    try {
      const result = await fn()
      this.journal.append({ ...place, state: 'done', seconds: seconds(), ...resultOf(result) })
      this.console.stepEnd(title, 'done', seconds())
      return result
    } catch (error) {
      this.journal.append({ ...place, state: 'failed', seconds: seconds(), message: messageOf(error) })
      this.console.stepEnd(title, 'failed', seconds(), error instanceof Interrupted ? 'interrupted' : undefined)
      throw error
    } finally {
      this.#steps.pop()
    }
  }

  /**
   * The only way to alter anything outside of the run's folder. The undo data is on the disk before `apply` is called.
   * A change of the same description that was begun before (the run was killed in it) keeps its first undo data, for what is
   * seen now may already be its effect; so `apply` must bear being called again.
   * @param what what is done, in words that no other change of the run has: `scale Deployment media/plex to 0`
   * @returns apply's result; in a dry run nothing is done and undefined returned
   */
  async change<T>(what: string, { undo, apply }: { undo?: UndoData; apply: () => Promise<T> }): Promise<T | undefined> {
    if (this.dryRun) {
      this.console.change(what, 'would be made')
      return undefined
    }
    return this.#interrupt.shield(what, async () => {
      const id = this.journal.standingChange(what)?.id ?? this.#begin(what, undo)
      try {
        const result = await apply()
        this.journal.append({ type: 'outcome', id, state: 'done' })
        this.console.change(what, 'made')
        return result
      } catch (error) {
        this.journal.append({ type: 'outcome', id, state: 'failed', message: messageOf(error) })
        throw error
      }
    })
  }

  /**
   * Takes one journaled change back. `fn` looks at the present state first and says what it found:
   * `undone`, `already` (nothing was to do), or `conflict: …` (somebody changed it meanwhile; it is left alone and shown).
   */
  async undo(change: JournaledChange, fn: () => Promise<Undone>): Promise<void> {
    if (change.state === 'undone') return
    if (this.dryRun) {
      this.console.change(`undo: ${change.what}`, 'would be made')
      return
    }
    await this.#interrupt.shield(`undo: ${change.what}`, async () => {
      const outcome = await fn()
      if (outcome.startsWith('conflict')) {
        this.journal.append({ type: 'outcome', id: change.id, state: 'conflict', message: outcome })
        this.console.warn(`${change.what} was not undone, ${outcome}`)
        return
      }
      this.journal.append({ type: 'outcome', id: change.id, state: 'undone' })
      this.console.change(change.what, 'undone')
    })
  }

  /**
   * Waits for a named condition, showing what it last saw. In a dry run it looks once and says what it would wait for.
   * @throws OperatorError after the timeout
   */
  async wait<T>(condition: Condition<T>): Promise<T> {
    if (this.dryRun) return this.#wouldWait(condition)
    const began = this.clock.elapsed()
    let met = false
    try {
      const value = await waitFor(condition, {
        clock: this.clock,
        signal: this.signal,
        onSeen: (saw) => this.console.detail(saw),
      })
      met = true
      return value
    } finally {
      const seconds = (this.clock.elapsed() - began) / 1000
      this.journal.append({
        type: 'wait',
        phase: this.phase,
        step: this.#steps.at(-1) ?? '',
        name: condition.name,
        seconds,
        met,
      })
    }
  }

  /** Keeps a fact for later phases of this run: JSON, no secrets. */
  remember(name: string, fact: Json): void {
    this.journal.append({ type: 'fact', phase: this.phase, name, fact })
  }

  /** The newest fact of that name, or undefined. @throws ZodError when it has another shape (another version wrote it) */
  recall<T>(name: string, schema: z.ZodType<T>): T | undefined {
    const fact = this.journal.fact(name)
    return fact === undefined ? undefined : schema.parse(fact)
  }

  #begin(what: string, undo: UndoData | undefined): number {
    return this.journal.beginChange({ phase: this.phase, step: this.#steps.at(-1) ?? '', what, undo: undo ?? null })
  }

  // What a dry run would wait for is mostly the effect of a change that it does not make, so its value cannot be had.
  async #wouldWait<T>(condition: Condition<T>): Promise<T> {
    const now = await condition.probe().catch((error: unknown) => ({ met: false as const, saw: messageOf(error) }))
    if (now.met) return now.value
    this.console.change(`wait until ${condition.name} (now: ${now.saw})`, 'would be made')
    return undefined as T
  }
}

/** How long a question may wait before it is told elsewhere, too. */
const unansweredMs = 15_000

/** A question and a live line cannot share the terminal. Who is not at it is told that there is one. */
function besideLiveLine({ prompt, console, settings, clock }: Parts): Prompt {
  const title = `${settings.clusterName}: a question waits for you`
  const alone = async <T>(question: string, ask: () => Promise<T>): Promise<T> => {
    const answered = new AbortController()
    const telling = clock.sleep(unansweredMs, answered.signal).then(() => {
      if (!answered.signal.aborted) return notify(settings, { title, text: question }, console)
    })
    console.pause()
    try {
      return await ask()
    } finally {
      console.resume()
      answered.abort()
      await telling
    }
  }
  return {
    secret: (question, options) => alone(question, () => prompt.secret(question, options)),
    confirm: (question) => alone(question, () => prompt.confirm(question)),
  }
}

function resultOf(result: Json | undefined): { result?: Json } {
  return result === undefined || result === null ? {} : { result: result as Json }
}
