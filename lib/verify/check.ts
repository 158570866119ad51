import { messageOf, OperatorError, RemoteError } from '../migration/errors.ts'

/** An error makes the evening fail; a warning is said and passed. */
export type Severity = 'error' | 'warning'

/** One thing that is wrong: with what, by which evidence, and what to do. */
export interface Finding {
  readonly subject: string
  readonly evidence: string
  readonly severity: Severity
  readonly wayOut: string
  /** may still come right by itself: a controller is at work on it */
  readonly converging?: boolean
}

/** A named check. Its name says what is so when nothing is found: `Nodes are ready`. */
export interface Check<Context> {
  readonly name: string
  run(context: Context): readonly Finding[] | Promise<readonly Finding[]>
}

/** What one check has found, and how long it took. */
export interface CheckResult {
  readonly name: string
  readonly findings: readonly Finding[]
  readonly seconds: number
  /** why it could not look at all: what it needs is missing, and named by a check of its own */
  readonly notChecked?: string
}

/** Thrown by a check that needs something which another check already reports as missing. */
export class NotChecked extends Error {}

/**
 * Runs all checks at once. One that throws has found that it cannot tell, which is no proof of health.
 * @param now milliseconds of a steady clock, for the duration of each
 */
export async function runChecks<Context>(
  checks: readonly Check<Context>[],
  context: Context,
  now: () => number = () => performance.now(),
): Promise<CheckResult[]> {
  return Promise.all(
    checks.map(async (check) => {
      const began = now()
      const outcome = await settle(check, context)
      return { name: check.name, ...outcome, seconds: (now() - began) / 1000 }
    }),
  )
}

async function settle<Context>(
  check: Check<Context>,
  context: Context,
): Promise<Pick<CheckResult, 'findings' | 'notChecked'>> {
  try {
    return { findings: await check.run(context) }
  } catch (error) {
    if (error instanceof NotChecked) return { findings: [], notChecked: error.message }
    const { next } = error as { next?: string }
    const wayOut = next ?? 'Look into it before going on: what cannot be checked cannot be relied upon.'
    return {
      findings: [
        {
          subject: error instanceof OperatorError ? '–' : 'the check itself',
          evidence: messageOf(error),
          severity: 'error',
          wayOut,
          // Whoever does not answer now may answer at the next look; a fault stays one.
          converging: error instanceof OperatorError || error instanceof RemoteError,
        },
      ],
    }
  }
}
