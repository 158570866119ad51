import { formatSeconds } from '../migration/clock.ts'
import { durations, swap } from '../migration/durations.ts'
import type { EarlierRun } from '../migration/earlier-runs.ts'
import { evening } from '../migration/evening.ts'
import type { Scenario } from '../migration/phases.ts'
import { assumptions, type Range } from './assumptions.ts'
import { type EarlierSizes, earlierSizes, expectedSizes, type Sizes } from './sizes.ts'

export interface PhaseEstimate {
  readonly phase: string
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly basedOn: string
}

/** Two evenings of one cluster differ by that much: another image to pull, another NAS that sleeps. */
const faster = 0.8
const slower = 1.5

/** What the time of a phase grows with; of the others it does not depend on the cluster. */
const growsWith: Readonly<Record<string, keyof EarlierSizes>> = {
  backup: 'objects',
  drain: 'drained',
  resume: 'drained',
}

/**
 * How long each phase of the evening is going to take, as a range, and what that comes from. Where the phase has run in earnest on this machine, from
 * that; where it was only rehearsed, from the rehearsal at the least (its machines start in a second, and nobody carries them) and from this
 * cluster's sizes at the most; else from the sizes alone. Earlier times are brought to this cluster's size.
 * @param earlier runs and rehearsals that were kept
 */
export function estimate(scenario: Scenario, sizes: Sizes, earlier: readonly EarlierRun[]): PhaseEstimate[] {
  const past = earlier.map(({ kind, records }) => ({ kind, seconds: durations(records), sizes: earlierSizes(records) }))
  const now = expectedSizes(sizes)
  return partsOf(scenario).map((phase) => {
    const scaled = (kind: EarlierRun['kind']) =>
      past.flatMap((run) => {
        const seconds = run.seconds.get(phase)
        if (run.kind !== kind || seconds === undefined) return []
        const unit = growsWith[phase]
        return [seconds * (unit === undefined ? 1 : ratio(now[unit], run.sizes[unit]))]
      })
    return estimateOf(phase, sizes, { evenings: scaled('evening'), rehearsals: scaled('rehearsal') })
  })
}

/** The phases of an evening that take time, in their order, and the swap between them. */
function partsOf(scenario: Scenario): string[] {
  const names = evening(scenario).map(({ name }) => name)
  return names.flatMap((name) => (name === 'shutdown' ? [name, swap] : [name])).filter((name) => name in assumptions)
}

function estimateOf(phase: string, sizes: Sizes, past: { evenings: number[]; rehearsals: number[] }): PhaseEstimate {
  const { seconds, because } = assumptions[phase]?.(sizes) ?? { seconds: [0, 0] as const, because: '' }
  if (past.evenings.length > 0) {
    const range = [Math.min(...past.evenings) * faster, Math.max(...past.evenings) * slower] as const
    const times = past.evenings.length === 1 ? 'once' : `${past.evenings.length} times`
    return estimated(phase, range, `done here ${times}: ${past.evenings.slice(0, 3).map(formatSeconds).join(', ')}`)
  }
  if (past.rehearsals.length > 0 && phase !== swap) {
    const least = Math.min(...past.rehearsals)
    return estimated(
      phase,
      [least, Math.max(seconds[1], least * slower)],
      `rehearsed here in ${formatSeconds(least)}; at most: ${because}`,
    )
  }
  return estimated(phase, seconds, because)
}

function estimated(phase: string, [fromSeconds, toSeconds]: Range, basedOn: string): PhaseEstimate {
  return { phase, fromSeconds, toSeconds, basedOn }
}

function ratio(now: number | undefined, then: number | undefined): number {
  return now === undefined || then === undefined ? 1 : now / then
}

/** The whole evening, and the part of it in which the API is down (shutdown to provision). */
export function totals(phases: readonly PhaseEstimate[]): { evening: PhaseEstimate; downtime: PhaseEstimate } {
  const sum = (phase: string, of: readonly PhaseEstimate[]): PhaseEstimate => ({
    phase,
    fromSeconds: of.reduce((all, each) => all + each.fromSeconds, 0),
    toSeconds: of.reduce((all, each) => all + each.toSeconds, 0),
    basedOn: '',
  })
  const down = phases.filter(({ phase }) => ['shutdown', swap, 'provision'].includes(phase))
  return { evening: sum('the whole evening', phases), downtime: sum('API down', down) }
}
