import { type Clock, formatSeconds } from './clock.ts'
import { Interrupted, messageOf, OperatorError } from './errors.ts'

export type Probe<T> = { met: true; value: T; saw?: string } | { met: false; saw: string }

/** What is waited for: a name as the operator would say it, and a look at the world that says whether it is so. */
export interface Condition<T> {
  name: string
  timeoutSeconds: number
  /** Milliseconds between two looks; 500 if not given. */
  everyMs?: number
  /** Ends when another look is worth its while before that time is over; the signal aborts when it is. */
  wake?: (signal: AbortSignal) => Promise<void>
  /** What to do when it does not come true. */
  hint?: string
  /** An OperatorError ends the wait at once; any other error means "not yet". */
  probe: () => Promise<Probe<T>>
}

interface Waiting {
  clock: Clock
  signal: AbortSignal
  /** Shown while waiting: what was last seen. */
  onSeen: (saw: string) => void
}

/**
 * Looks until the condition is met.
 * @throws OperatorError after the timeout, with what was last seen; Interrupted when the signal aborts
 */
export async function waitFor<T>(condition: Condition<T>, { clock, signal, onSeen }: Waiting): Promise<T> {
  const began = clock.elapsed()
  let last: { saw: string; cause?: unknown } = { saw: 'nothing yet' }
  for (;;) {
    if (signal.aborted) throw new Interrupted(`waiting until ${condition.name}`)
    const looked = await look(condition)
    if (looked.met) return looked.value
    last = looked
    const waited = (clock.elapsed() - began) / 1000
    if (waited >= condition.timeoutSeconds) throw timedOut(condition, last)
    onSeen(`waiting until ${condition.name}; saw: ${last.saw}`)
    await pause(condition, clock, signal)
  }
}

async function pause<T>({ everyMs = 500, wake }: Condition<T>, clock: Clock, signal: AbortSignal): Promise<void> {
  if (wake === undefined) return clock.sleep(everyMs, signal)
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  await Promise.race([clock.sleep(everyMs, either), wake(either)])
  over.abort()
}

async function look<T>(condition: Condition<T>): Promise<Probe<T> & { cause?: unknown }> {
  try {
    return await condition.probe()
  } catch (error) {
    if (error instanceof OperatorError || error instanceof Interrupted) throw error
    return { met: false, saw: messageOf(error), cause: error }
  }
}

function timedOut<T>(condition: Condition<T>, last: { saw: string; cause?: unknown }): OperatorError {
  return new OperatorError(
    `Waited ${formatSeconds(condition.timeoutSeconds)} until ${condition.name}, and it did not come true.`,
    {
      means: `Last seen: ${last.saw}.`,
      ...(condition.hint === undefined ? {} : { next: condition.hint }),
      ...(last.cause === undefined ? {} : { cause: last.cause }),
    },
  )
}
