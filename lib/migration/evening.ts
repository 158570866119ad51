import type { Journal } from './journal.ts'
import { type Phase, phases, type Scenario } from './phases.ts'

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
