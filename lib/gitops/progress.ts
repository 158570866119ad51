import type { Console } from '../migration/console.ts'

/** Tells of each object once, when it has come to where it was waited for. */
export class Progress {
  readonly #console: Console
  readonly #reached: string
  #waiting = new Set<string>()

  /** @param reached as in `Application argocd/plex is synced` */
  constructor(console: Console, reached: string) {
    this.#console = console
    this.#reached = reached
  }

  /** @param keys of those that are waited for now; what was among them before and is not any more has come through */
  look(keys: readonly string[], all: readonly string[]): void {
    const waiting = new Set(keys)
    const there = new Set(all)
    for (const key of this.#waiting) {
      if (!waiting.has(key) && there.has(key)) this.#console.info(`${key} is ${this.#reached}.`)
    }
    this.#waiting = waiting
  }
}
