import type { Settings } from '../settings.ts'
import { OperatorError } from './errors.ts'
import type { Journal } from './journal.ts'
import { type Phase, phases, rolledBack, type Scenario } from './phases.ts'

/** The phases of one scenario, in their order. */
export function evening(scenario: Scenario): Phase[] {
  return phases.filter(({ scenarios }) => scenarios?.includes(scenario) ?? true)
}

/**
 * The phase that must be done before this one: what it takes back, else what changes something right before it in the scenario's order.
 * @returns undefined for the first one, and for those that have no place in the order
 */
export function comesAfter({ name, undoes }: Phase, scenario: Scenario): string | undefined {
  if (undoes !== undefined) return undoes
  const order = evening(scenario)
  const before = order.slice(
    0,
    Math.max(
      0,
      order.findIndex((phase) => phase.name === name),
    ),
  )
  return before.findLast(({ changes }) => changes !== null)?.name
}

/**
 * What is left to be done in a run, in its order: what comes after a phase that was begun and not taken back since, and is not done.
 * When nothing is left the evening is over, be it migrated or called off.
 */
export function leftToDo(scenario: Scenario, journal: Journal): string[] {
  const stands = (name: string) => journal.phaseState(name) !== 'not begun' && !isTakenBack(name, journal)
  const isOwed = (phase: Phase): boolean => {
    if (phase.changes === null) return false
    const before = comesAfter(phase, scenario)
    if (before === undefined || !stands(before)) return false
    return phase.undoes !== undefined || journal.phaseState(phase.name) !== 'done'
  }
  return evening(scenario)
    .filter(isOwed)
    .map(({ name }) => name)
}

/** Whether anything but a backup was begun of the scenario's evening, and what stands alone. */
export function isBegun(scenario: Scenario, journal: Journal): boolean {
  return evening(scenario).some(
    ({ name, changes, alone }) =>
      changes !== null && name !== 'backup' && !alone && journal.phaseState(name) !== 'not begun',
  )
}

/** Whether another phase has taken this one back since it was done. */
export function isTakenBack(name: string, journal: Journal): boolean {
  return phases.some((other) => other.undoes === name && journal.doneAfter(other.name, name))
}

/** Whether the evening has come to its end: something of it was done, and nothing is left to do. */
export function isOver(scenario: Scenario, journal: Journal): boolean {
  const isDone = ({ name, changes }: Phase) => changes !== null && journal.phaseState(name) === 'done'
  const begun = evening(scenario).some((phase) => phase.name !== 'backup' && isDone(phase))
  return begun && leftToDo(scenario, journal).length === 0
}

/**
 * Before anything but a backup is made.
 * @throws OperatorError with exit code 2 for a scenario whose chain does not exist yet (half a scenario is worse than none), and for
 *   one that lacks a setting
 */
export function verifyScenario({ scenario, newNodeAddress }: Settings): void {
  if (!evening(scenario).some(({ name, changes }) => changes !== null && name !== 'backup')) {
    throw new OperatorError(`Scenario ${scenario} is not built yet.`, {
      means: 'Its phases would leave the cluster half-way. Nothing was changed.',
      next: 'A backup can be made all the same (task migrate:backup). What can be migrated is SCENARIO=A (new hardware, same address) and SCENARIO=B (new address).',
      exitCode: 2,
    })
  }
  if (scenario !== 'B' || newNodeAddress !== undefined) return
  throw new OperatorError('SCENARIO=B is a new address, and none is given: NEW_TALOS_NODE is not set.', {
    means: 'Nothing was changed.',
    next: 'Set NEW_TALOS_NODE to the address that the new machine gets. If it keeps the old one: SCENARIO=A.',
    exitCode: 2,
  })
}

/** @throws OperatorError with exit code 2 for a phase that the scenario's evening does not have */
export function verifyBelongs({ name, scenarios, alone }: Phase, scenario: Scenario): void {
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
export function giveRollbackUp({ name }: Phase, { snapshotFile }: Settings, journal: Journal): void {
  if (!journal.rollbackUnderWay || name !== 'provision' || snapshotFile === undefined) return
  journal.append({ type: 'rollback', state: 'done', phases: [...rolledBack] })
}

/** @throws OperatorError for whatever goes forward while a rollback has begun to undo and is not at its end */
export function verifyNotHalfWayBack({ name, changes }: Phase, journal: Journal): void {
  if (!journal.rollbackUnderWay || changes === null || name === 'rollback') return
  throw new OperatorError(`A rollback is under way, and migrate:${name} goes forward.`, {
    means: 'Half of the evening is undone: going on from here would mix two states. Nothing was changed.',
    next: 'First to its end: task migrate:rollback. Then forward again from the beginning.',
  })
}
