import * as z from 'zod'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { collectionPath } from '../../kubernetes/served.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { type Mesh, peerArguments, type Sides, unpeerArguments } from './arguments.ts'
import { isBothWays, onlyOneDirectionIsLeft } from './both-ways.ts'
import { knows } from './left-overs.ts'
import { concerning, type Direction, type Peering, type Slice } from './peering.ts'
import { remoteClusterLabel, type Side } from './side.ts'

export const peerUndoKind = 'liqo-peer'

const undoSchema = z.object({ kind: z.literal(peerUndoKind), consumer: z.enum(['here', 'there']), last: z.boolean() })

interface Condition {
  type: string
  status: string
}

/**
 * Makes a recorded peering again, one direction after the other. liqoctl goes on from whatever is there, so that a peering that was half
 * made is completed.
 * @param moved addresses that have become others
 * @throws OperatorError with liqoctl's last words
 */
export async function peerAgain(
  migration: Migration,
  mesh: Mesh,
  peering: Peering,
  moved: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [place, direction] of peering.directions.entries()) {
    const [from, to] = ends(mesh, direction)
    const last = place === peering.directions.length - 1
    await migration.change(`Peer ${from.clusterId} (consumer) with ${to.clusterId} (provider) with liqoctl`, {
      undo: { kind: peerUndoKind, consumer: direction.consumer, last },
      apply: () => makeDirection(migration, mesh, peering, direction, moved),
    })
  }
}

/** Tears a direction down again that migrate:repeer had made; what was made last goes first, and the namespaces go with the direction that is left. */
export async function undoPeer(migration: Migration, mesh: Mesh, change: JournaledChange): Promise<Undone> {
  const { consumer, last } = undoSchema.parse(change.undo)
  const [from, to] = ends(mesh, { consumer })
  if (!(await knows(from, to.clusterId))) return 'already'
  // The first of two was made, and now the second is gone.
  if (!last) await onlyOneDirectionIsLeft(migration, from, to.clusterId)
  const alone = !(await isBothWays(from, to.clusterId))
  await mesh.liqoctl.run(unpeerArguments(mesh, { consumer }, alone), migration.settings.liqoTimeout)
  return 'undone'
}

/** Runs liqoctl for one direction, then puts back the slices that it does not make itself. Bears being called again. */
export async function makeDirection(
  migration: Migration,
  mesh: Mesh,
  peering: Peering,
  direction: Direction,
  moved?: ReadonlyMap<string, string>,
): Promise<void> {
  await mesh.liqoctl.run(peerArguments(mesh, peering, direction, moved), migration.settings.liqoTimeout)
  const [from, to] = ends(mesh, direction)
  for (const slice of direction.slices.filter(({ name }) => name !== to.clusterId)) await putSlice(from, to, slice)
}

/** Whether the consumer knows the provider and has all of its slices, accepted. */
export async function isPeered(mesh: Sides, direction: Direction): Promise<boolean> {
  const [from, to] = ends(mesh, direction)
  if (!(await knows(from, to.clusterId))) return false
  const slices = await concerning(from, 'resourceslices', to.clusterId)
  return direction.slices.every(({ name }) =>
    slices.some(({ object }) => object.metadata.name === name && isAccepted(object)),
  )
}

/** Source: https://docs.liqo.io/en/v1.0.1/advanced/peering/offloading-in-depth.html#create-resourceslice */
export function isAccepted({ status }: KubernetesObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: Condition[] }
  return conditions.some((condition) => condition.type === 'Authentication' && condition.status === 'Accepted')
}

export function ends(mesh: Sides, { consumer }: Pick<Direction, 'consumer'>): [Side, Side] {
  return consumer === 'here' ? [mesh.here, mesh.there] : [mesh.there, mesh.here]
}

async function putSlice(from: Side, to: Side, slice: Slice): Promise<void> {
  const served = from.served.get('resourceslices')
  const [tenant] = await from.api.list<KubernetesObject>('/api/v1/namespaces', {
    labelSelector: `liqo.io/tenant-namespace=true,${remoteClusterLabel}=${to.clusterId}`,
  })
  if (served === undefined || tenant === undefined) return
  const namespace = tenant.metadata.name
  const labels = {
    'liqo.io/replication': 'true',
    'liqo.io/remoteID': to.clusterId,
    [remoteClusterLabel]: to.clusterId,
  }
  const annotations = slice.makesNode ? { 'liqo.io/create-virtual-node': 'true' } : {}
  const object = {
    apiVersion: `${served.group}/${served.version}`,
    kind: served.kind,
    metadata: { name: slice.name, namespace, labels, annotations },
    spec: { class: slice.class ?? 'default', providerClusterID: to.clusterId, resources: slice.resources },
  }
  await from.api.apply(`${collectionPath(served, namespace)}/${slice.name}`, object, 'talos-migrate')
}
