import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { ReportFacts } from './facts.ts'
import { renderReport } from './page.ts'
import { readStory, type Story } from './story.ts'

/** @throws OperatorError when no run is known */
export function storyOf({ journal, settings, phase }: Migration): Story {
  // Its own beginning, which is only in memory, is no part of the evening.
  const story = readStory(journal.records.filter((record) => !('phase' in record && record.phase === phase)))
  if (story) return story
  throw new OperatorError(`No run of ${settings.cluster} is known (${settings.outputDir}).`, {
    means: 'A report tells of a run, and there is none yet.',
    next: 'task migrate:status shows where things stand; task migrate:plan begins.',
  })
}

/**
 * Writes the report.
 * @param file where to; by default report.html in the run's folder
 * @returns the file
 */
export async function writeReport(migration: Migration, facts: ReportFacts, file?: string): Promise<string> {
  const path = file ?? join(migration.runFolder, 'report.html')
  await writeFileAtomic(path, await renderReport(facts), { mode: 0o600 })
  return path
}
