import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Migration } from '../../migration/migration.ts'
import { findRecorded, liqoRuns } from './find-recorded.ts'
import { Liqoctl } from './liqoctl.ts'
import { type MovedAddress, rewriteMeshKubeconfig } from './mesh-kubeconfig.ts'
import { offloadedPodsRun, putOffloadingsBack, virtualNodesAreReady } from './offloading.ts'
import { openThere } from './open.ts'
import { peerAgain } from './peer.ts'
import { recordedOffloaded } from './record.ts'

/** What the re-peering needs of others. */
export interface RepeerLiqoEffects {
  /** the node's addresses that have become others */
  readonly moves: readonly MovedAddress[]
  /** takes back what migrate:unpeer had suspended, where no resume does it */
  readonly resumeGitOps: () => Promise<void>
  /** waits for what could not be ready without the peering */
  readonly gitOpsIsReady: () => Promise<void>
}

/**
 * Makes the peering that migrate:unpeer recorded again, with the same options: the kubeconfig of the mesh first, then liqoctl, then what it
 * does not make itself; and waits until what was offloaded runs. Liqo absent, at zero, or nothing recorded: one sentence.
 * @throws OperatorError for whatever stands in the way
 */
export async function repeerLiqo(migration: Migration, api: KubernetesApi, effects: RepeerLiqoEffects): Promise<void> {
  const { settings, journal } = migration
  await migration.step('Point the kubeconfig of the mesh to this cluster', () =>
    rewriteMeshKubeconfig(migration, effects.moves),
  )
  const found = await findRecorded(migration, api)
  if (found === undefined) return
  const { peering, here } = found
  await migration.step('Wait for Liqo', () => liqoRuns(migration, here))

  const there = await openThere(settings, 'What was torn down stays recorded in this run.')
  const liqoctl = await Liqoctl.find(settings.liqoctl)
  const moved = new Map(effects.moves.map(({ from, to }) => [from, to]))
  await migration.step(`Peer with ${peering.there} again`, () =>
    peerAgain(migration, { liqoctl, here, there }, peering, moved),
  )
  await migration.step('Offload namespaces again', () => putOffloadingsBack(migration, here, peering))
  await migration.step('Wait for virtual nodes', () => virtualNodesAreReady(migration, { here, there }, peering))

  // Without a drain there is no resume.
  if (journal.phaseState('drain') === 'not begun') await migration.step('Resume GitOps', effects.resumeGitOps)
  await migration.step('Wait for what was offloaded', () => offloadedPodsRun(migration, { here, there }))
  if (recordedOffloaded(migration).waiting.length > 0) await migration.step('Wait for GitOps', effects.gitOpsIsReady)
  there.api.close()
}
