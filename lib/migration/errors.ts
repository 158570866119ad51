/** What an operator is told when something cannot go on: what happened, what it means, what to type next. */
export interface OperatorErrorOptions {
  means?: string
  next?: string
  exitCode?: 1 | 2
  cause?: unknown
}

/**
 * The one kind of error that is meant for the operator. Everything else that is thrown is a bug and keeps its stack.
 * Exit code 1: a check failed or the world is not as it must be. Exit code 2: wrong usage or settings.
 */
export class OperatorError extends Error {
  readonly what: string
  readonly means: string | undefined
  readonly next: string | undefined
  readonly exitCode: 1 | 2

  constructor(what: string, options: OperatorErrorOptions = {}) {
    super(what, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'OperatorError'
    this.what = what
    this.means = options.means
    this.next = options.next
    this.exitCode = options.exitCode ?? 1
  }
}

/**
 * Something at the other end of a connection answered with an error, or did not answer. A wait takes it as "not yet"; where nothing
 * waits it ends the phase, shown as an OperatorError is.
 */
export class RemoteError extends Error {
  readonly means: string
  readonly next: string

  constructor(message: string, options: { means: string; next: string; cause?: unknown }) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'RemoteError'
    this.means = options.means
    this.next = options.next
  }
}

/** Ctrl-C or SIGTERM, seen at a place where nothing is half done. */
export class Interrupted extends Error {
  constructor(during: string) {
    super(`interrupted during: ${during}`)
    this.name = 'Interrupted'
  }
}

/** The message of anything that was thrown, in one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error)
  return message.split('\n')[0] ?? message
}
