import * as z from 'zod'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { type Mesh, type Sides, unpeerArguments } from './arguments.ts'
import { onlyOneDirectionIsLeft } from './both-ways.ts'
import { describeLeftOvers, knows, leftOvers } from './left-overs.ts'
import { deleteLeftOvers } from './orphans.ts'
import { isPeered, makeDirection } from './peer.ts'
import { type Direction, type Peering, peeringSchema } from './peering.ts'
import { unpeerUndoKind } from './record.ts'

const undoSchema = z.object({
  kind: z.literal(unpeerUndoKind),
  consumer: z.enum(['here', 'there']),
  peering: peeringSchema,
})

/**
 * Whether the peering is to be torn down before the control plane goes away: LIQO_TEARDOWN, else the operator's word, else yes. A peering
 * that is left as it is keeps the old address on the other side until it is made again.
 */
export async function isToBeTornDown(migration: Migration, peering: Peering): Promise<boolean> {
  const { liqoTeardown } = migration.settings
  if (liqoTeardown !== undefined) return liqoTeardown === 'yes'
  if (migration.dryRun) return true
  const answer = await migration.prompt.confirm(
    `Liqo is peered with ${peering.there}. Tear the peering down first, so that nothing of it is orphaned?`,
  )
  return answer ?? true
}

/**
 * Tears a recorded peering down on both sides, one direction after the other. What an earlier call has done is not done again.
 * @param goOn a failure of liqoctl is told and not thrown: what it leaves is removed afterwards
 * @throws OperatorError with liqoctl's last words
 */
export async function unpeer(migration: Migration, mesh: Mesh, peering: Peering, goOn: boolean): Promise<void> {
  for (const [place, direction] of peering.directions.entries()) {
    const last = place === peering.directions.length - 1
    await migration
      .change(whatUnpeers(mesh, direction), {
        undo: { kind: unpeerUndoKind, consumer: direction.consumer, peering },
        apply: () => tearDown(migration, mesh, direction, last),
      })
      .catch((error: unknown) => {
        if (!goOn) throw error
        migration.console.warn(`${messageOf(error)} What it leaves is removed next.`)
      })
  }
}

/**
 * Makes a direction of a peering again that migrate:unpeer had torn down.
 * @param moved addresses that are others by now; none, when all is as it was
 */
export async function undoUnpeer(
  migration: Migration,
  mesh: Mesh,
  change: JournaledChange,
  moved?: ReadonlyMap<string, string>,
): Promise<Undone> {
  const { consumer, peering } = undoSchema.parse(change.undo)
  const direction = peering.directions.find((each) => each.consumer === consumer)
  if (direction === undefined) return 'already'
  if (await isPeered(mesh, direction)) return 'already'
  await makeDirection(migration, mesh, peering, direction, moved)
  return 'undone'
}

function whatUnpeers({ here, there }: Sides, { consumer }: Direction): string {
  const [from, to] = consumer === 'here' ? [here, there] : [there, here]
  return `Unpeer ${from.clusterId} (consumer) from ${to.clusterId} (provider) with liqoctl`
}

async function tearDown(migration: Migration, mesh: Mesh, direction: Direction, last: boolean): Promise<void> {
  const consumer = mesh[direction.consumer]
  const provider = mesh[direction.consumer === 'here' ? 'there' : 'here']
  if (!(await knows(consumer, provider.clusterId))) {
    // A call before this one was killed: liqoctl refuses to unpeer from a cluster that is not known any more.
    if (last) for (const side of [consumer, provider]) await deleteLeftOvers(side, mesh)
    return
  }
  if (last) await onlyOneDirectionIsLeft(migration, consumer, provider.clusterId)
  try {
    await mesh.liqoctl.run(unpeerArguments(mesh, direction, last), migration.settings.liqoTimeout)
  } catch (error) {
    throw error instanceof OperatorError ? await namingWhatIsLeft(error, mesh) : error
  }
}

async function namingWhatIsLeft(error: OperatorError, { here, there }: Sides): Promise<OperatorError> {
  const left = [...(await leftOvers(here, there.clusterId)), ...(await leftOvers(there, here.clusterId))]
  if (left.length === 0) return error
  return new OperatorError(error.what, {
    means: `Still there: ${describeLeftOvers(left)}.`,
    next: 'The same command goes on from there. To remove what stays, finalizers included: task migrate:unpeer -- --remove-orphans',
    cause: error,
  })
}
