import { OperatorError } from '../../migration/errors.ts'
import type { Flags } from '../../migration/migration.ts'
import type { Outcome } from './campaign.ts'
import { groupSize } from './seed.ts'

/** Of what speaks against a seed. */
const shown = 8

/** What `npm run faults -- --help` says. */
export const usage = [
  'npm run faults -- [--seeds N] [--from N] [--keep]',
  'Migrates small practice clusters while things go wrong, one fault a seed, and looks after each whether all is there that must be.',
  `A seed's number says what goes wrong, and when. ${groupSize} seeds share one evening; --from begins with the evening of that seed.`,
  '--keep leaves the folders of the practice clusters behind. It takes root, for it mounts small file systems that a fault fills.',
] as const

/** @throws OperatorError (exit code 2) for what is no number from 1 on */
export function numberOf(flags: Flags, name: string, otherwise: number): number {
  const given = flags[name]
  if (given === undefined) return otherwise
  if (/^[1-9]\d*$/.test(String(given))) return Number(given)
  throw new OperatorError(`--${name} ${given} is no number of seeds.`, {
    means: 'Nothing was started.',
    next: 'npm run faults -- --seeds 20 --from 1',
    exitCode: 2,
  })
}

/** One line for one seed; what speaks against it below. */
export function describe({ seed, scenario, typed, against }: Outcome): string {
  const { number, fault, place, moment, inRollback } = seed
  const when = 'afterMs' in moment ? `${moment.afterMs} ms` : `${moment.changes} changes`
  const during = inRollback ? 'the rollback from' : place.phase
  const where = `${when} into ${during} "${place.step}"`
  const verdict = against.length === 0 ? 'held' : 'BROKEN'
  const then = typed.length > 0 ? typed.join(', ') : 'it went on'
  const line = `${String(number).padStart(4)}  ${scenario}  ${fault.name}, ${where}; ${then}: ${verdict}`
  const more = against.length > shown ? [`… and ${against.length - shown} more`] : []
  return [
    line,
    ...[...against.slice(0, shown), ...more].map((each) => `        ${each.replaceAll('\n', '\n        ')}`),
  ].join('\n')
}

/** How to see the same again: the whole evening up to it. */
export function replay({ seed: { number } }: Outcome): string {
  const first = number - ((number - 1) % groupSize)
  return `To see it again: npm run faults -- --from ${first} --seeds ${number - first + 1}`
}
