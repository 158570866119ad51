import type { Migration } from '../../migration/migration.ts'
import { concerning } from './peering.ts'
import type { Side } from './side.ts'

const bothWays = 'ConsumerAndProvider'

/** Whether Liqo takes a peering for one in both directions. */
export async function isBothWays(side: Side, other: string): Promise<boolean> {
  return (await roleIn(side, other)) === bothWays
}

/**
 * Waits until Liqo has seen that the other direction is gone: liqoctl goes by what the ForeignCluster says, and refuses to remove the namespaces of a
 * peering that it takes for one in both directions.
 * Source: pkg/liqoctl/unpeer of Liqo v1.0.1
 * @throws OperatorError after LIQO_TIMEOUT
 */
export async function onlyOneDirectionIsLeft(migration: Migration, consumer: Side, provider: string): Promise<void> {
  await migration.wait({
    name: `Liqo in ${consumer.clusterId} knows of one direction of the peering only`,
    timeoutSeconds: migration.settings.liqoTimeout,
    everyMs: 500,
    hint: 'Look at why: liqoctl info; kubectl get foreignclusters. The same command goes on from there.',
    probe: async () => {
      const role = await roleIn(consumer, provider)
      if (role !== bothWays) return { met: true, value: undefined }
      return { met: false, saw: `ForeignCluster ${provider} says ${role}` }
    },
  })
}

async function roleIn(side: Side, other: string): Promise<string | undefined> {
  const [cluster] = await concerning(side, 'foreignclusters', other)
  return (cluster?.object.status as { role?: string } | undefined)?.role
}
