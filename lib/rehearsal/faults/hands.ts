import { setTimeout as delay } from 'node:timers/promises'
import type { PracticeMachine } from '../practice-machine.ts'

const asked =
  /(?<forward>Unplug the old machine from the network)|(?<back>Power the old machine on as it was)|(?<wipe>reset that one first)/
const lookEveryMs = 50

/** What the operator's hands have to do with. */
interface Machines {
  old: PracticeMachine
  /** none in scenario C, where no machine takes another's place */
  replacement: PracticeMachine | undefined
}

/**
 * The operator who stands beside the machines and does what he is told on the screen: swaps them, and swaps them back.
 * What he does not do, when he is careless, is to unplug the new machine first.
 */
export class Hands {
  readonly #machines: Machines
  readonly #unplugs: boolean
  readonly #said: () => string
  readonly #on = new Set<PracticeMachine>()
  readonly #stop = new AbortController()
  readonly #ended: Promise<void>
  #read = 0
  #failure: unknown

  /** @param said everything that all commands have said so far */
  constructor(machines: Machines, unplugs: boolean, said: () => string) {
    this.#machines = machines
    this.#unplugs = unplugs
    this.#said = said
    this.#on.add(machines.old)
    this.#ended = this.#watch().catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** Whether the operator wants a machine to have power, as the evening stands. */
  wantsOn(machine: PracticeMachine): boolean {
    return this.#on.has(machine)
  }

  /** The new machine, while it has power, is connected, and nobody wants it to be. */
  get unwanted(): PracticeMachine | undefined {
    const { replacement } = this.#machines
    const isLoose = replacement?.running && !this.#unplugs && !this.#on.has(replacement)
    return isLoose ? replacement : undefined
  }

  /** @throws what went wrong with the machines, if anything did */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    if (this.#failure) throw this.#failure
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const told = asked.exec(this.#said().slice(this.#read))
      if (told) this.#read += told.index + told[0].length
      if (told?.groups?.forward) await this.#swap()
      else if (told?.groups?.back) await this.#swapBack()
      else if (told) await this.#wipe()
      else await delay(lookEveryMs)
    }
  }

  async #swap(): Promise<void> {
    const { old, replacement } = this.#machines
    this.#on.delete(old)
    await old.cutPower()
    if (!replacement) return
    this.#on.add(replacement)
    if (replacement.running) await replacement.plug()
    else replacement.powerOn()
  }

  async #swapBack(): Promise<void> {
    const { old, replacement } = this.#machines
    if (replacement) {
      this.#on.delete(replacement)
      if (this.#unplugs && replacement.running) await replacement.unplug()
    }
    this.#on.add(old)
    if (!old.running) old.powerOn()
  }

  async #wipe(): Promise<void> {
    const { replacement } = this.#machines
    if (!replacement) return
    await replacement.cutPower()
    replacement.wipeDisk()
    if (this.#on.has(replacement)) replacement.powerOn()
  }
}
