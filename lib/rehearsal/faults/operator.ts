import { setTimeout as delay } from 'node:timers/promises'
import { talosctlOn } from '../control-planes.ts'
import type { PracticeCluster } from '../practice-cluster.ts'
import type { PracticeMachine } from '../practice-machine.ts'
import { currentJournal, hasCome, rollbacksTyped, untilJournal } from './evening.ts'
import type { Place } from './places.ts'
import type { Group } from './seed.ts'
import type { Stage } from './stage.ts'
import type { Running } from './tool.ts'

/** Times that the same command is typed before it is said not to lead on. */
const patience = 3
/** What an operator waits after his Ctrl-C before he presses it again. */
const pressAgainMs = 5_000
const cameBackWithinMs = 30_000
/** What is kept of a command's last words. */
const lastWords = 1500

/** The operator at the keyboard: types what the documents say, and what the screen says. */
export class Operator {
  readonly #stage: Stage
  readonly #flags: readonly string[]
  #forward: Running | undefined
  #typed: string[] = []

  constructor(stage: Stage, scenario: Group['scenario']) {
    this.#stage = stage
    // What is rewritten is asked for at a terminal.
    this.#flags = scenario === 'B' ? ['--yes'] : []
  }

  /** What was typed since it was asked for the last time. */
  takeTyped(): string[] {
    return this.#typed.splice(0)
  }

  /** The run, when it has come to a step. @throws Error when it does not come there */
  async runTo(place: Place): Promise<Running> {
    return this.#lead(place, 'begin')
  }

  /** Types the same command until the step is done. @throws Error when it does not lead on */
  async runPast(place: Place): Promise<void> {
    await this.#lead(place, 'done')
  }

  /** Types the same command until the evening is over. @throws Error when it does not come to its end */
  async runToTheEnd(): Promise<void> {
    await this.#untilDone('run', this.#flags, this.#forward)
    this.#forward = undefined
  }

  /** Calls the evening off: a rollback, as it has just begun. */
  async beginRollback(): Promise<Running> {
    await this.interrupt()
    const { cluster } = this.#stage
    const before = rollbacksTyped(currentJournal(cluster)?.records ?? [])
    const command = this.#type('rollback')
    await untilJournal(cluster, (records) => rollbacksTyped(records) > before, hasEnded(command))
    return command
  }

  /** Goes back, from a rollback that was begun or from where the run stands. @throws Error when that does not come to its end */
  async rollBack(begun?: Running): Promise<void> {
    await this.interrupt()
    await this.#untilDone('rollback', [], begun)
  }

  /** Ctrl-C, and again when that is not enough. */
  async interrupt(): Promise<void> {
    const command = this.#forward
    this.#forward = undefined
    if (!command) return
    command.ctrlC()
    await Promise.race([command.ended, delay(pressAgainMs)])
    if (command.exitCode === undefined) command.ctrlC()
    await command.ended
  }

  async #lead(place: Place, state: 'begin' | 'done'): Promise<Running> {
    const { cluster } = this.#stage
    for (let times = this.#forward ? 0 : 1; ; times++) {
      this.#forward ??= this.#type('run', this.#flags)
      const command = this.#forward
      const reached = await untilJournal(cluster, (records) => hasCome(state, place, records), hasEnded(command))
      if (reached) return command
      this.#forward = undefined
      if (times === patience || (await command.ended) === 0) throw notThere(command, `"${place.step}" to be ${state}`)
      await this.#comesBack()
    }
  }

  async #untilDone(script: string, flags: readonly string[], begun: Running | undefined): Promise<void> {
    const given = new Set(flags)
    let command = begun ?? this.#type(script, [...given])
    for (let times = begun ? 0 : 1; (await command.ended) !== 0; times++) {
      if (times === patience) throw notThere(command, 'its end')
      // What the screen offers for just this case.
      for (const flag of ['--accept-loss', '--take-back']) if (command.said().includes(`-- ${flag}`)) given.add(flag)
      await this.#comesBack()
      command = this.#type(script, [...given])
    }
  }

  #type(script: string, flags: readonly string[] = []): Running {
    const command = this.#stage.tool.type(script, flags)
    this.#typed.push(command.line)
    return command
  }

  /** Whoever sees a machine starting waits for it, and then types. */
  async #comesBack(): Promise<void> {
    const { cluster, hands } = this.#stage
    const machine = cluster.machines.findLast((one) => one.running && hands.wantsOn(one))
    const deadline = Date.now() + cameBackWithinMs
    while (machine && Date.now() < deadline && !(await answers(cluster, machine))) await delay(500)
  }
}

async function answers(cluster: PracticeCluster, machine: PracticeMachine): Promise<boolean> {
  return talosctlOn(cluster, machine, 'version').then(
    () => true,
    () => false,
  )
}

const hasEnded = (command: Running) => () => command.exitCode !== undefined

function notThere(command: Running, where: string): Error {
  return new Error(
    `${command.line} ended with ${command.exitCode} and does not come to ${where}:\n${command.said().slice(-lastWords)}`,
  )
}
