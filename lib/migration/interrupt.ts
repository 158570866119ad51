import { setMaxListeners } from 'node:events'
import { Interrupted } from './errors.ts'

/**
 * Ctrl-C and SIGTERM. While nothing is being changed, the run stops at once; while a change is under way it is let to its end first.
 * A second Ctrl-C stops in any case: the journal knows what had been begun.
 */
export class Interrupt {
  readonly #controller = new AbortController()
  readonly #stop: (halfDone: boolean) => void
  readonly #ask: () => void
  #changing = 0

  /**
   * @param ask tells the operator that the current change is let to its end
   * @param stop ends the process; `halfDone` when a change had to be abandoned
   */
  constructor(ask: () => void, stop: (halfDone: boolean) => void) {
    this.#ask = ask
    this.#stop = stop
    // Any number of waits listen at once, and each lets go when it ends.
    setMaxListeners(0, this.#controller.signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** @throws Interrupted when the operator has asked to stop */
  check(during: string): void {
    if (this.signal.aborted) throw new Interrupted(during)
  }

  /** Runs one change to its end, whatever the operator presses once. */
  async shield<T>(what: string, apply: () => Promise<T>): Promise<T> {
    this.check(what)
    this.#changing += 1
    try {
      return await apply()
    } finally {
      this.#changing -= 1
    }
  }

  /** Begins to listen; returns the function that ends listening. */
  listen(): () => void {
    const onSignal = () => this.#onSignal()
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    return () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    }
  }

  #onSignal(): void {
    const again = this.signal.aborted
    this.#controller.abort()
    if (again || this.#changing === 0) this.#stop(this.#changing > 0)
    else this.#ask()
  }
}
