import { createHash } from 'node:crypto'
import type { Scenario } from '../../migration/phases.ts'
import { type Fault, faults } from './fault.ts'
import { type Place, placesOf } from './places.ts'

/** One fault: where it strikes, how long it lasts, and what the operator does then. All of it follows from the number. */
export interface Seed {
  readonly number: number
  readonly fault: Fault
  readonly place: Place
  /** when, from the step's begin, or the rollback's */
  readonly moment: Moment
  /** milliseconds until it is taken away */
  readonly lastsMs: number
  /** the documented action: the same command again, or the way back */
  readonly action: 'again' | 'rollback'
  /** The operator calls the evening off at the place, and the fault strikes the rollback. */
  readonly inRollback: boolean
}

/** After so many milliseconds, or as so many changes have been begun (in a rollback: undone), at the latest when the step is done. */
export type Moment = { readonly afterMs: number } | { readonly changes: number }

/** Seeds that share one migration, one after the other along its phases. */
export interface Group {
  readonly scenario: Scenario
  /** whether the operator, when he is told to, unplugs the new machine before he powers the old one on */
  readonly unplugs: boolean
  readonly seeds: readonly Seed[]
}

export const groupSize = 5

/** The groups of the seeds from the first one on; the group of the first is taken from its beginning. */
export function groupsOf(first: number, count: number): Group[] {
  const begin = first - ((first - 1) % groupSize)
  const last = first + count - 1
  return range(begin, last, groupSize).map((number) => {
    const scenario = scenarioOf(number)
    const seeds = range(number, Math.min(number + groupSize - 1, last)).map((each) => seedOf(each, scenario))
    return { scenario, unplugs: chance(number, 'unplugs') < 0.5, seeds }
  })
}

// Out of eight groups five are A's: its way is the shortest, and the others share most of it.
const scenarios: readonly Scenario[] = ['A', 'A', 'A', 'B', 'A', 'C', 'A', 'B']

function scenarioOf(firstOfGroup: number): Scenario {
  return scenarios[Math.floor((firstOfGroup - 1) / groupSize) % scenarios.length] ?? 'A'
}

function seedOf(number: number, scenario: Scenario): Seed {
  const part = slice(placesOf(scenario), (number - 1) % groupSize)
  const place = chosen(number, part, ({ phase, step }) => `${phase}: ${step}`)
  const mayGoBack = scenario !== 'C' && place.phase !== 'backup'
  const inRollback = mayGoBack && chance(number, 'inRollback') < 0.15
  const possible = faults.filter(({ strikes }) => strikes(place, inRollback))
  return {
    number,
    fault: chosen(number, possible, ({ name }) => name),
    place,
    moment: momentOf(number, inRollback),
    lastsMs: Math.round(500 + chance(number, 'lasts') * 2500),
    action: scenario !== 'C' && chance(number, 'action') < 0.25 ? 'rollback' : 'again',
    inRollback,
  }
}

function momentOf(number: number, inRollback: boolean): Moment {
  const at = chance(number, 'after') ** 2
  if (chance(number, 'moment') < 0.5) return { changes: 1 + Math.floor(at * (inRollback ? 25 : 12)) }
  return { afterMs: Math.round(at * (inRollback ? 4000 : 2500)) }
}

/** The k-th of the equal parts that a group divides its evening into. */
function slice(places: readonly Place[], k: number): readonly Place[] {
  const from = (part: number) => Math.round((part * places.length) / groupSize)
  return places.slice(from(k), from(k + 1))
}

/** From 0 to below 1, of one seed in one matter: another matter that is added changes none of the others. */
function chance(number: number, matter: string): number {
  return createHash('sha256').update(`${matter} of seed ${number}`).digest().readUInt32BE() / 2 ** 32
}

/** The one whose lot is the highest: another one that is added takes some of the seeds for itself, and leaves the others as they were. */
function chosen<T>(number: number, all: readonly T[], nameOf: (one: T) => string): T {
  const lots = all.map((one) => ({ one, lot: chance(number, nameOf(one)) }))
  const [first] = lots.sort((a, b) => b.lot - a.lot)
  if (first === undefined) throw new Error(`seed ${number} has nothing to choose from`)
  return first.one
}

function range(from: number, to: number, step = 1): number[] {
  return Array.from({ length: Math.max(0, Math.floor((to - from) / step) + 1) }, (_, i) => from + i * step)
}
