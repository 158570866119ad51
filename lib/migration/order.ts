import type { Settings } from '../settings.ts'
import { OperatorError } from './errors.ts'
import { comesAfter, isBegun } from './evening.ts'
import type { Journal } from './journal.ts'
import type { Flags } from './migration.ts'
import { type Phase, rolledBack, type Scenario } from './phases.ts'

/** Where a phase is about to be run: the run so far, and how it was called. */
export interface Place {
  readonly journal: Journal
  readonly settings: Settings
  readonly flags: Flags
  readonly dryRun: boolean
}

/**
 * Whether a phase may be run now.
 * @throws OperatorError when it belongs to another scenario, a rollback is half done, or what comes before it in the evening is not done
 */
export function verifyOrder(phase: Phase, { journal, settings, flags, dryRun }: Place): void {
  const { name, changes, standsIn, undoes } = phase
  const { scenario, snapshotFile } = settings
  giveRollbackUp(phase, settings, journal)
  if (!dryRun) verifyNotHalfWayBack(phase, journal)
  if (standsAlone(phase, scenario, journal)) return
  if (changes !== null && name !== 'backup' && name !== 'restore') verifyScenario(settings)
  verifyBelongs(phase, scenario)
  const after = comesAfter(phase, scenario)
  if (after === undefined || journal.phaseState(after) === 'done' || dryRun) return
  if (standsIn !== undefined && flags[standsIn] !== undefined) return
  // A snapshot named by the operator stands in for all that comes before the new machine.
  if (name === 'provision' && snapshotFile !== undefined) return
  // What a drain began can be taken back before it is complete.
  if (undoes === after && journal.phaseState(after) !== 'not begun') return
  throw new OperatorError(`migrate:${name} comes after migrate:${after}, which this run has not completed.`, {
    means: `Nothing was changed. In this run, ${after} is: ${journal.phaseState(after)}.`,
    next: `task migrate:${after}`,
  })
}

/** Nothing of an evening was begun, and it is not its turn in one: then the phase is a run of its own, which no evening has to go on with. */
export function standsAlone(phase: Phase, scenario: Scenario, journal: Journal): boolean {
  if (phase.alone !== true || isBegun(scenario, journal)) return false
  const before = comesAfter(phase, scenario)
  return before === undefined || journal.phaseState(before) !== 'done'
}

/** @throws OperatorError with exit code 2 when the scenario lacks a setting */
export function verifyScenario({ scenario, newNodeAddress }: Settings): void {
  if (scenario !== 'B' || newNodeAddress !== undefined) return
  throw new OperatorError('SCENARIO=B is a new address, and none is given: NEW_TALOS_NODE is not set.', {
    means: 'Nothing was changed.',
    next: 'Set NEW_TALOS_NODE to the address that the new machine gets. If it keeps the old one: SCENARIO=A.',
    exitCode: 2,
  })
}

function verifyBelongs({ name, scenarios, alone }: Phase, scenario: Scenario): void {
  if (scenarios === undefined || alone || scenarios.includes(scenario)) return
  throw new OperatorError(
    `migrate:${name} belongs to SCENARIO=${scenarios.join(' or ')}, and this is SCENARIO=${scenario}.`,
    {
      means: 'Nothing was changed.',
      next: `Set SCENARIO, or go on with what scenario ${scenario} has: task migrate:status`,
      exitCode: 2,
    },
  )
}

/**
 * The old machine is lost in the middle of a rollback: what was undone stays so, and the cluster goes to new hardware from a snapshot that the operator
 * names. The rollback is over with that.
 */
function giveRollbackUp({ name }: Phase, { snapshotFile }: Settings, journal: Journal): void {
  if (!journal.rollbackUnderWay || name !== 'provision' || snapshotFile === undefined) return
  journal.append({ type: 'rollback', state: 'done', phases: [...rolledBack] })
}

function verifyNotHalfWayBack({ name, changes }: Phase, journal: Journal): void {
  if (!journal.rollbackUnderWay || changes === null || name === 'rollback') return
  throw new OperatorError(`A rollback is under way, and migrate:${name} goes forward.`, {
    means: 'Half of the evening is undone: going on from here would mix two states. Nothing was changed.',
    next: 'First to its end: task migrate:rollback. Then forward again from the beginning.',
  })
}
