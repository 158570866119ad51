import test from 'ava'
import { OperatorError } from '../../../lib/migration/errors.ts'
import type { Mesh } from '../../../lib/network/liqo/arguments.ts'
import type { Liqoctl } from '../../../lib/network/liqo/liqoctl.ts'
import { undoPeer } from '../../../lib/network/liqo/peer.ts'
import type { Peering } from '../../../lib/network/liqo/peering.ts'
import type { Side, SideName } from '../../../lib/network/liqo/side.ts'
import { unpeer } from '../../../lib/network/liqo/unpeer.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'

/** A cluster that knows the other by what role says at that moment. */
function side(name: SideName, clusterId: string, other: string, role: () => string): Side {
  const foreign = () => ({ metadata: { name: other }, spec: { clusterID: other }, status: { role: role() } })
  const api = { list: async (path: string) => (path.endsWith('/foreignclusters') ? [foreign()] : []) }
  const served = { group: 'core.liqo.io', version: 'v1beta1', resource: 'foreignclusters', kind: 'ForeignCluster' }
  const all = new Map([['foreignclusters', { ...served, namespaced: false }]])
  return { name, clusterId, api: api as never, kubeconfig: `/${clusterId}`, namespace: 'liqo', served: all }
}

const direction = { inBand: false, slices: [], virtualNodes: [] }
const peering: Peering = {
  ...{ here: 'catalyst', there: 'aws-gpu', role: 'ConsumerAndProvider', networking: null, offloadings: [] },
  directions: [
    { consumer: 'here', ...direction },
    { consumer: 'there', ...direction },
  ],
}

/** Both sides, and a liqoctl that refuses as the real one does; after the first unpeering, Liqo needs some looks to say so. */
function practice(looks: number) {
  let torn = 0
  const role = () => {
    if (torn > 0) looks -= 1
    return torn > 0 && looks < 0 ? 'Consumer' : 'ConsumerAndProvider'
  }
  const calls: string[] = []
  const run = async (args: readonly string[]) => {
    const deletes = args.includes('--delete-namespaces')
    calls.push(`${args[2]}${deletes ? ' with its namespaces' : ''}`)
    if (deletes && looks >= 0)
      throw new OperatorError('cannot delete the tenant namespace when a bidirectional is enabled')
    torn += 1
  }
  const here = side('here', 'catalyst', 'aws-gpu', role)
  const there = side('there', 'aws-gpu', 'catalyst', role)
  const mesh: Mesh = { here, there, liqoctl: { run } as unknown as Liqoctl }
  return { mesh, calls }
}

test('the second direction is torn down when Liqo says that the first is gone, for liqoctl refuses before', async (t) => {
  const { mesh, calls } = practice(3)
  await unpeer(testMigration().migration, mesh, peering, false)
  t.deepEqual(calls, ['/catalyst', '/aws-gpu with its namespaces'])
})

test('when Liqo does not come to say so, that is what is named', async (t) => {
  const { mesh, calls } = practice(1000)
  const error = await t.throwsAsync(unpeer(testMigration({ LIQO_TIMEOUT: '1' }).migration, mesh, peering, false))
  t.regex(error?.message ?? '', /Liqo in aws-gpu knows of one direction of the peering only/)
  t.deepEqual(calls, ['/catalyst'])
})

test('what was made in both directions is taken back in the other order, the namespaces with the direction that is left', async (t) => {
  const { mesh, calls } = practice(3)
  const { migration } = testMigration()
  const made = (consumer: SideName, last: boolean) => {
    const undo = { kind: 'liqo-peer', consumer, last }
    return { id: 1, phase: 'repeer', step: 'Peer', what: consumer, undo, state: 'done' as const }
  }
  t.is(await undoPeer(migration, mesh, made('there', true)), 'undone')
  t.is(await undoPeer(migration, mesh, made('here', false)), 'undone')
  t.deepEqual(calls, ['/aws-gpu', '/catalyst with its namespaces'])
})
