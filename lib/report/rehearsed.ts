import type { EarlierRun } from '../migration/earlier-runs.ts'
import type { Rehearsed } from './facts.ts'
import { outagesIn } from './outage.ts'
import { secondsOf } from './sections/rehearsal.ts'
import { readStory } from './story.ts'

/**
 * The newest rehearsal of the same scenario, to be shown beside a run; null when none was kept.
 * @param earlier runs and rehearsals, the newest first
 */
export function rehearsedOf(earlier: readonly EarlierRun[], scenario: string): Rehearsed | null {
  const rehearsal = earlier.find((run) => run.kind === 'rehearsal' && run.scenario === scenario)
  const story = rehearsal && readStory(rehearsal.records)
  if (!story) return null
  const { at, records } = rehearsal
  const names = [...new Set(story.attempts.map(({ phase }) => phase))]
  return {
    at: at.slice(0, 16).replace('T', ' '),
    phases: names.map((name) => ({ name, seconds: secondsOf(name, story) ?? 0 })),
    outage: outagesIn(records).reduce((sum, { from, to }) => sum + (to - from) / 1000, 0),
  }
}
