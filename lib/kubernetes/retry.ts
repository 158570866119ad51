import { type Clock, formatSeconds } from '../migration/clock.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { ApiError, ConnectionError } from './api-error.ts'

export interface RetryOptions {
  clock: Clock
  /** Ends the pauses; what the attempt then throws goes to the caller. */
  signal?: AbortSignal
  /** what it means when there is no server any more */
  means: string
  /** a 5xx that will be the same the next time */
  hopeless?: (error: ApiError) => boolean
  /** told when the server asks for a pause that is too long to be kept */
  note?: (text: string) => void
}

/** What has gone wrong so far with one request. */
interface Attempts {
  /** answers that were refusals */
  refused: number
  /** connections that broke, or could not be made */
  broken: number
  pausedMs: number
  beganAt: number
}

const triesWhenRefused = 6
/** A refusal that takes this long is a webhook or an aggregated server that hangs: each further try would hang as long. */
const refusalPatienceMs = 20_000
/** 429 is no failure: the server answers, and says when to come back. */
const busyPatienceMs = 120_000
/** With pauses that grow to 4 s, somewhat more than a restarting API server needs. */
const brokenPatienceMs = 75_000
const longestPauseMs = 30_000

/**
 * Makes the attempt until there is an answer: 429 and 5xx are tried again after the server's Retry-After, or growing pauses, and so is a connection
 * that breaks or an answer that is cut off. An API server that has just come back may refuse (401, 403, 404) until it has read its rules:
 * that is tried again too.
 * Source: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
 * @throws ApiError when the server goes on refusing; OperatorError when there is no server any more; whatever else the attempt throws
 */
export async function retrying<T>(options: RetryOptions, attempt: () => Promise<T>): Promise<T> {
  const attempts = { refused: 0, broken: 0, pausedMs: 0, beganAt: options.clock.elapsed() }
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (options.signal?.aborted || error instanceof OperatorError) throw error
      const pause = pauseAfter(error, attempts, options)
      attempts.pausedMs += pause
      await options.clock.sleep(pause, options.signal)
    }
  }
}

/**
 * @returns milliseconds
 * @throws the error itself, or what it means, when trying again is of no use
 */
function pauseAfter(error: unknown, attempts: Attempts, { clock, note, means, hopeless }: RetryOptions): number {
  const elapsed = Math.max(attempts.pausedMs, clock.elapsed() - attempts.beganAt)
  if (error instanceof ApiError) {
    if (!isPassing(error, attempts.broken > 0) || hopeless?.(error)) throw error
    attempts.refused++
    if (isGivenUp(error, attempts.refused, elapsed)) throw error
    return askedPause(error, note) ?? growing(attempts.refused)
  }
  if (!isBrokenConnection(error)) throw error
  attempts.broken++
  if (elapsed < brokenPatienceMs) return growing(attempts.broken)
  throw new OperatorError(`The API server no longer answers: ${messageOf(error)}`, {
    means: `It was asked again and again for ${formatSeconds(elapsed / 1000)}. ${means}`,
    next: 'Check the API server, then run the same command again.',
    cause: error,
  })
}

function isPassing({ status, expired }: ApiError, wasGone: boolean): boolean {
  if (expired) return false
  return status === 429 || status >= 500 || (wasGone && (status === 401 || status === 403 || status === 404))
}

function isGivenUp({ status }: ApiError, refused: number, elapsed: number): boolean {
  if (status === 429) return elapsed >= busyPatienceMs
  return refused >= triesWhenRefused || elapsed >= refusalPatienceMs
}

function askedPause({ message, retryAfterSeconds }: ApiError, note: RetryOptions['note']): number | undefined {
  if (retryAfterSeconds === undefined || retryAfterSeconds <= 0) return undefined
  const asked = retryAfterSeconds * 1000
  if (asked <= longestPauseMs) return asked
  note?.(
    `${message}: it asks for a pause of ${retryAfterSeconds} s, and is asked again after ${longestPauseMs / 1000} s.`,
  )
  return longestPauseMs
}

const growing = (tries: number) => Math.min(4000, 125 * 2 ** tries)

/**
 * A connection that the network broke: a system error of Node has a code such as ECONNRESET, and one of TLS, such as a certificate that
 * is not trusted, has another kind of code and stays as it is. A SyntaxError is an answer that is cut off.
 */
function isBrokenConnection(error: unknown): boolean {
  if (error instanceof SyntaxError) return true
  if (!(error instanceof ConnectionError)) return false
  const { code } = error.cause as NodeJS.ErrnoException
  return error.timedOut || (code !== undefined && /^(E[A-Z]+|HPE_\w+)$/.test(code))
}
