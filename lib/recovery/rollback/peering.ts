import type { KubernetesApi } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import type { Mesh } from '../../network/liqo/arguments.ts'
import { liqoRuns } from '../../network/liqo/find-recorded.ts'
import { Liqoctl } from '../../network/liqo/liqoctl.ts'
import { putOffloadingsBack, virtualNodesAreReady } from '../../network/liqo/offloading.ts'
import { openHere, openThere } from '../../network/liqo/open.ts'
import { recordedPeering } from '../../network/liqo/record.ts'

/**
 * Works on the peering with both clusters open, and puts back what goes with it: offloaded namespaces and virtual nodes.
 * @throws OperatorError when one of the two cannot be worked with; what was undone so far is in the journal
 */
export async function withPeering(
  migration: Migration,
  api: KubernetesApi,
  work: (mesh: Mesh) => Promise<void>,
): Promise<void> {
  const { settings } = migration
  const installation = await openHere(settings, api)
  if (installation.state !== 'running') {
    throw new OperatorError('Liqo does not run in this cluster, and its peering is not made again.', {
      means: `All else is undone. Its namespace is ${settings.liqoNamespace}.`,
      next: 'Bring it up, then the same command again: task migrate:rollback',
    })
  }
  const here = installation.side
  const there = await openThere(settings, 'All else is undone.')
  await liqoRuns(migration, here)
  await work({ liqoctl: await Liqoctl.find(settings.liqoctl), here, there })
  const peering = recordedPeering(migration)
  if (peering) {
    await putOffloadingsBack(migration, here, peering)
    await virtualNodesAreReady(migration, { here, there }, peering)
  }
  there.api.close()
}
