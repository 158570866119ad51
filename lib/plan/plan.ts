import type { EarlierRun } from '../migration/earlier-runs.ts'
import { phaseNamed } from '../migration/phases.ts'
import { type Question, questions } from '../migration/questions.ts'
import type { Settings } from '../settings.ts'
import { estimate, type PhaseEstimate, totals } from './estimate.ts'
import { type Fate, fatesOf } from './fates.ts'
import { type Inventory, inventoryRows } from './inventory.ts'
import { sizesOf } from './sizes.ts'

/** A phase of the evening: what it does and changes, and how long it is going to take. */
export interface PlannedPhase extends PhaseEstimate {
  /** null: the operator's own */
  readonly does: string | null
  readonly changes: string | null
}

/** The evening as it is planned: plain JSON without secrets. */
export interface Plan {
  readonly at: string
  readonly cluster: string
  readonly clusterName: string
  readonly scenario: Settings['scenario']
  readonly recovery: Settings['recovery']
  /** what there is, and how much of it */
  readonly inventory: readonly (readonly string[])[]
  readonly lost: readonly Fate[]
  readonly preserved: readonly Fate[]
  readonly phases: readonly PlannedPhase[]
  readonly evening: PhaseEstimate
  readonly downtime: PhaseEstimate
  /** null: nobody has set one */
  readonly window: { readonly text: string; readonly seconds: number; readonly longEnough: boolean } | null
  readonly questions: readonly Question[]
}

/** Puts the plan together from what was found. @param earlier runs and rehearsals that were kept */
export function planOf(inventory: Inventory, settings: Settings, earlier: readonly EarlierRun[], now: Date): Plan {
  const { cluster, clusterName, scenario, recovery, maintenanceWindow } = settings
  const estimates = estimate(scenario, sizesOf(inventory, settings), earlier)
  const { evening, downtime } = totals(estimates)
  return {
    at: now.toISOString(),
    ...{ cluster, clusterName, scenario, recovery },
    inventory: inventoryRows(inventory),
    ...fatesOf(inventory, settings),
    phases: estimates.map((each) => {
      const { summary = null, changes = null } = phaseNamed(each.phase) ?? {}
      return { ...each, does: summary, changes }
    }),
    evening,
    downtime,
    window: maintenanceWindow
      ? { ...maintenanceWindow, longEnough: maintenanceWindow.seconds >= evening.toSeconds }
      : null,
    questions: questions(settings, { liqo: inventory.liqo, nodes: inventory.nodes.length }),
  }
}
