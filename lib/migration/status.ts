import { formatRange, formatSeconds } from './clock.ts'
import { durations, swap } from './durations.ts'
import { evening, isOver, leftToDo } from './evening.ts'
import type { Journal } from './journal.ts'
import type { Migration } from './migration.ts'
import { type Planned, readPlanned } from './planned.ts'

/** Shows where the run under way stands, how it keeps to the plan, what is not undone, and what to type next. */
export function showStatus({ journal, settings, console, runFolder, clock }: Migration): void {
  const first = journal.records.find((record) => record.type === 'run')
  if (first?.type !== 'run') {
    console.info(`No run is under way for ${settings.cluster} (${settings.outputDir}).`)
    console.info('Next: task migrate:plan')
    return
  }
  const planned = readPlanned(settings)
  console.info(`Run ${first.id}, scenario ${first.scenario}, begun ${first.at} (${runFolder})`)
  console.table(
    'Phases',
    ['phase', 'state', 'when', 'duration', ...(planned ? ['planned'] : [])],
    evening(settings.scenario)
      .filter(({ journaled }) => journaled)
      .map(({ name }) => phaseRow(name, journal, planned)),
  )
  console.info(againstPlan(journal, planned, clock.now()))
  const standing = journal.changes().filter(({ state, undo }) => undo !== null && state !== 'undone')
  if (standing.length > 0) console.info(`${standing.length} changes can be undone; the journal holds how.`)
  console.info(whatNext(journal, settings.scenario))
}

function phaseRow(name: string, journal: Journal, planned: Planned | null): string[] {
  const last = journal.records.findLast((record) => record.type === 'phase' && record.phase === name)
  const range = planned?.phases.find(({ phase }) => phase === name)
  const behind = planned ? [range ? formatRange(range) : ''] : []
  if (last?.type !== 'phase') return [name, 'not begun', '', '', ...behind]
  const took = last.seconds === undefined ? '' : formatSeconds(last.seconds)
  return [name, journal.phaseState(name), last.at, took, ...behind]
}

/** How long it has been, of how long was planned, and how much of the plan is still to come. */
function againstPlan(journal: Journal, planned: Planned | null, now: Date): string {
  const begin = Date.parse(journal.records.find(({ type }) => type === 'run')?.at ?? '')
  const end = journal.ended ? Date.parse(journal.records.at(-1)?.at ?? '') : now.getTime()
  const elapsed = `Elapsed: ${formatSeconds((end - begin) / 1000)}`
  if (planned === null) return `${elapsed}. How long it should take, task migrate:plan says.`
  const whole = `${elapsed} of ${formatRange(planned.evening)} planned`
  if (journal.ended) return `${whole}.`
  const done = durations(journal.records)
  const isPast = ({ phase }: { phase: string }) =>
    phase === swap ? done.has(swap) : journal.phaseState(phase) === 'done'
  const left = planned.phases.filter((each) => !isPast(each))
  const sum = (end: 'fromSeconds' | 'toSeconds') => left.reduce((all, each) => all + each[end], 0)
  return `${whole}; to come: ${formatRange({ fromSeconds: sum('fromSeconds'), toSeconds: sum('toSeconds') })}.`
}

function whatNext(journal: Journal, scenario: Migration['settings']['scenario']): string {
  if (journal.rollbackUnderWay) return 'A rollback is under way. Next: task migrate:rollback'
  if (journal.ended) return 'The migration is complete and verified.'
  const [next = isOver(scenario, journal) ? 'verify' : 'backup'] = leftToDo(scenario, journal)
  return `Next: task migrate:${next}`
}
