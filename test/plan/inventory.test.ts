import test from 'ava'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { countObjects } from '../../lib/plan/inventory.ts'
import { startBareCluster } from '../kubernetes/bare-cluster.ts'

test('the objects that are counted are those that can be listed, also those that were made a moment ago', async (t) => {
  const cluster = await startBareCluster()
  t.teardown(() => cluster.stop())
  const { api } = cluster
  const before = await countObjects(api, await discover(api))
  for (let i = 0; i < 25; i++)
    await api.create('/api/v1/namespaces/default/configmaps', { metadata: { name: `counted-${i}` } })
  const after = await countObjects(api, await discover(api))
  t.true(after >= before + 25, `${before}, then ${after}`)
  const lists = await Promise.all((await discover(api)).resources.map(({ path }) => api.list(path)))
  // The API server itself makes a lease or two meanwhile.
  t.true(Math.abs(after - lists.flat().length) <= 5, `${after}, listed ${lists.flat().length}`)
})
