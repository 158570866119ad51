import { OperatorError } from '../lib/migration/errors.ts'

/**
 * How often a benchmark is to measure each case: what --rounds says, or as often as is usual for it.
 * @throws OperatorError with exit code 2 unless it is a number of 1 or more
 */
export function roundsOf(bench: string, flag: string | boolean | undefined, usual: number): number {
  const rounds = Number(flag ?? usual)
  if (Number.isInteger(rounds) && rounds > 0) return rounds
  throw new OperatorError(`${flag} is no number of rounds.`, {
    next: `npm run bench:${bench} -- --rounds ${usual}`,
    exitCode: 2,
  })
}
