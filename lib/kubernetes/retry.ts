import type { Clock } from '../migration/clock.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { ApiError, ConnectionError } from './api.ts'

const triesWhenRefused = 6
// With pauses that grow to 4 s, about a minute: as long as a restarting API server needs.
const triesWithoutServer = 18

interface Retrying {
  clock: Clock
  /** Ends the pauses; what the attempt then throws goes to the caller. */
  signal: AbortSignal
  /** of the API, for the error */
  server: string
  /** What it means when there is no server any more. */
  means: string
  /** A 5xx that will be the same the next time. */
  hopeless?: (error: ApiError) => boolean
}

/**
 * Makes the attempt again after 429 and 5xx, after the pause that the server asks for (Retry-After), and after a connection that breaks.
 * @throws ApiError when the server refuses for good; OperatorError when there is no server any more; whatever else the attempt throws
 */
export async function retrying<T>(options: Retrying, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (options.signal.aborted || error instanceof OperatorError) throw error
      await pauseBeforeRetry(error, tries, options)
    }
  }
}

/** @throws the error itself, or what it means, when trying again is of no use */
async function pauseBeforeRetry(error: unknown, tries: number, { clock, signal, server, means, hopeless }: Retrying) {
  const growing = Math.min(4000, 125 * 2 ** tries)
  if (error instanceof ApiError) {
    const again = (error.status === 429 || error.status >= 500) && !hopeless?.(error)
    if (!again || tries >= triesWhenRefused) throw error
    const asked = error.retryAfterSeconds
    return clock.sleep(asked !== undefined && asked > 0 ? asked * 1000 : growing, signal)
  }
  if (!isBrokenConnection(error)) throw error
  if (tries >= triesWithoutServer) {
    throw new OperatorError(`The API server at ${server} no longer answers: ${messageOf(error)}`, {
      means,
      next: 'Check the API server, then run the same command again.',
      cause: error,
    })
  }
  return clock.sleep(growing, signal)
}

/** Anything that the network does: a system error of Node with a code, its timeout, or an answer that is cut off. */
function isBrokenConnection(error: unknown): boolean {
  if (error instanceof SyntaxError || error instanceof ConnectionError) return true
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return (typeof code === 'string' && /^E[A-Z]+$/.test(code)) || messageOf(error).startsWith('no answer from')
}
