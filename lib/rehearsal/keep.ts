import { keepRun } from '../migration/earlier-runs.ts'
import { Journal } from '../migration/journal.ts'
import { earlierRunsDir } from '../settings.ts'
import type { Environment } from './binaries/find.ts'

/**
 * Keeps the journal of a run that was rehearsed where the operator's plans and reports look for it: the practice cluster's own folder goes away.
 * @param environment the operator's, not the practice cluster's
 */
export function keepRehearsal(journalPath: string, environment: Environment = process.env): void {
  const run = Journal.inMemory(journalPath, () => new Date()).records.find((record) => record.type === 'run')
  if (run?.type === 'run') keepRun(earlierRunsDir(environment), 'rehearsal', run.id, journalPath)
}
