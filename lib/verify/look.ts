import * as z from 'zod'
import type { Migration } from '../migration/migration.ts'
import { type Baseline, takeBaseline } from './baseline.ts'
import { runChecks } from './check.ts'
import { type Comparison, compare } from './comparison.ts'
import { type LiveCluster, liveChecks } from './live-checks.ts'

/** What one look at everything has come to, and the state that it rests on. */
export interface Seen extends Comparison {
  readonly now: Baseline
}

export type Look = () => Promise<Seen>

/**
 * Looks at the cluster and at the machines at the same time, and compares.
 * @param before null when this run has no baseline
 */
export function lookAgainst(before: Baseline | null, cluster: LiveCluster, migration: Pick<Migration, 'recall'>): Look {
  const { api, askIngress, reach, settings } = cluster
  const announced = new Set(migration.recall('announced-losses', z.array(z.string())) ?? [])
  return async () => {
    const now = cluster.now()
    const [state, looked] = await Promise.all([
      takeBaseline(api, { now, askIngress, meshPeers: settings.meshPeers, reach }),
      runChecks(liveChecks, cluster),
    ])
    return { ...compare(before, state, looked, announced), now: state }
  }
}
