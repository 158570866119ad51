import { durations } from '../migration/durations.ts'
import type { EarlierRun } from '../migration/earlier-runs.ts'
import type { Rehearsed } from './facts.ts'
import { outagesIn } from './outage.ts'

/**
 * The newest rehearsal of the same scenario, to be shown beside a run; null when none was kept.
 * @param earlier runs and rehearsals, the newest first
 */
export function rehearsedOf(earlier: readonly EarlierRun[], scenario: string): Rehearsed | null {
  const rehearsal = earlier.find((run) => run.kind === 'rehearsal' && run.scenario === scenario)
  if (rehearsal === undefined) return null
  const { at, records } = rehearsal
  return {
    at: at.slice(0, 16).replace('T', ' '),
    phases: [...durations(records)].map(([name, seconds]) => ({ name, seconds })),
    outage: outagesIn(records).reduce((sum, { from, to }) => sum + (to - from) / 1000, 0),
  }
}
