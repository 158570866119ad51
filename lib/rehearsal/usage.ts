import { OperatorError } from '../migration/errors.ts'
import type { Scenario } from '../migration/phases.ts'
import type { RehearsalOptions } from './rehearse.ts'

/** What `npm run rehearse -- --help` says. */
export const usage = [
  'npm run rehearse -- [--scenario A|B|C] [--recovery snapshot|gitops] [--keep] [--by-hand] [--json] [--quiet] [--verbose]',
  'Builds a practice cluster on loopback addresses, migrates it, and proves that nothing was lost.',
  '--scenario A is new hardware at the same address, B at another one, C makes one control plane three.',
  '--recovery gitops rebuilds it from Git and a backup, as if no snapshot could be had.',
  '--keep leaves its folder behind: backup, journal, logs of the machines. Nothing outside of it is changed.',
  '--by-hand leaves the migrating to you: it says what to export, and swaps the hardware when you have shut down.',
] as const

/** @throws OperatorError (exit code 2) for what is none */
export function recoveryOf(value: string | boolean): RehearsalOptions['recovery'] {
  if (value === 'snapshot' || value === 'gitops') return value
  throw new OperatorError(`There is no recovery ${value}.`, {
    means: 'Nothing was started. The new machine gets its state from a snapshot, or is rebuilt from Git.',
    next: 'npm run rehearse -- --recovery gitops',
    exitCode: 2,
  })
}

/** @throws OperatorError (exit code 2) for what is none */
export function scenarioOf(value: string | boolean): Scenario {
  const scenario = String(value).toUpperCase()
  if (scenario === 'A' || scenario === 'B' || scenario === 'C') return scenario
  throw new OperatorError(`There is no scenario ${scenario}.`, {
    means:
      'Nothing was started. There is A (new hardware, same address), B (new address) and C (one control plane to three).',
    next: 'npm run rehearse -- --scenario A',
    exitCode: 2,
  })
}

/** @throws OperatorError (exit code 2) for a scenario that is not left to the operator */
export function byHandOf(scenario: Scenario): 'A' | 'B' {
  if (scenario !== 'C') return scenario
  throw new OperatorError('Scenario C is not practised by hand.', {
    means: 'Nothing was started: by hand there are A and B.',
    next: 'npm run rehearse -- --scenario C',
    exitCode: 2,
  })
}
