import { formatSeconds } from './clock.ts'
import { evening, isOver, leftToDo } from './evening.ts'
import type { Migration } from './migration.ts'

/** Shows where the run under way stands, what is not undone, and what to type next. */
export function showStatus({ journal, settings, console, runFolder }: Migration): void {
  const first = journal.records.find((record) => record.type === 'run')
  if (first?.type !== 'run') {
    console.info(`No run is under way for ${settings.cluster} (${settings.outputDir}).`)
    console.info('Next: task migrate:plan')
    return
  }
  console.info(`Run ${first.id}, scenario ${first.scenario}, begun ${first.at} (${runFolder})`)
  console.table(
    'Phases',
    ['phase', 'state', 'when', 'duration'],
    evening(settings.scenario).map(({ name }) => phaseRow(name, journal)),
  )
  const standing = journal.changes().filter(({ state, undo }) => undo !== null && state !== 'undone')
  if (standing.length > 0) console.info(`${standing.length} changes can be undone; the journal holds how.`)
  if (journal.rollbackUnderWay) {
    console.info('A rollback is under way.')
    console.info('Next: task migrate:rollback')
    return
  }
  if (journal.ended) {
    console.info('The migration is complete and verified.')
    return
  }
  const [next = isOver(settings.scenario, journal) ? 'verify' : 'backup'] = leftToDo(settings.scenario, journal)
  console.info(`Next: task migrate:${next}`)
}

function phaseRow(name: string, journal: Migration['journal']): string[] {
  const last = journal.records.findLast((record) => record.type === 'phase' && record.phase === name)
  if (last?.type !== 'phase') return [name, 'not begun', '', '']
  return [name, journal.phaseState(name), last.at, last.seconds === undefined ? '' : formatSeconds(last.seconds)]
}
