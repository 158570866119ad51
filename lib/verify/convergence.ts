import { z } from 'zod'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { isRebuilt } from '../kubernetes/rebuilt.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { type Baseline, takeBaseline } from './baseline.ts'
import { type Comparison, compare, isConverging, type NamedFinding } from './comparison.ts'

/** What else is looked at each time: findings about the live machines, which no baseline holds. */
export type Look = () => Promise<readonly NamedFinding[]>

/**
 * Whether a drain of this run is not taken back. What it quieted does not come back by waiting, but by resume. A cluster that was
 * rebuilt from Git was never drained.
 */
export async function isQuieted(migration: Migration, api: KubernetesApi): Promise<boolean> {
  if (await isRebuilt(migration, api)) return false
  return migration.journal.changes({ phase: 'drain' }).some(({ undo, state }) => undo !== null && state !== 'undone')
}

/** A comparison, and the state that it was made of. */
export interface Converged extends Comparison {
  readonly now: Baseline
}

/**
 * Compares until nothing is newly broken, or nothing that is broken can come right by itself, or CONVERGE_TIMEOUT is
 * over. While a drain of this run is not taken back, it looks once.
 * @returns the last comparison, however it ended
 */
export async function converge(
  migration: Migration,
  api: KubernetesApi,
  before: Baseline,
  look: Look,
): Promise<Converged> {
  let last: Converged | undefined
  const quieted = await isQuieted(migration, api)
  const announced = new Set(migration.recall('announced-losses', z.array(z.string())) ?? [])
  const condition = {
    name: 'nothing is newly broken',
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 2000,
    probe: async () => {
      const [now, others] = await Promise.all([takeBaseline(api, { now: migration.clock.now() }), look()])
      const comparison = { ...compare(before, now, others, announced), now }
      last = comparison
      const broken = comparison.newlyBroken
      if (broken.length === 0 || quieted || !isConverging(comparison)) return { met: true as const, value: comparison }
      return { met: false as const, saw: `${broken.length} newly broken: ${firstOf(broken)}` }
    },
  }
  try {
    return await migration.wait(condition)
  } catch (error) {
    if (error instanceof OperatorError && last !== undefined) return last
    throw error
  }
}

function firstOf(findings: readonly NamedFinding[]): string {
  const shown = findings.slice(0, 3).map(({ subject, evidence }) => `${subject}: ${evidence}`)
  return shown.join('; ')
}
