import test from 'ava'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { isRebuilt, rebuiltCluster, rememberRebuilt } from '../../lib/kubernetes/rebuilt.ts'
import { startBareCluster } from './bare-cluster.ts'
import { testMigration } from './test-migration.ts'

test('a cluster is a rebuilt one when this run has begun it, and the old one is not', async (t) => {
  const cluster = await startBareCluster()
  t.teardown(() => cluster.stop())
  const api = await KubernetesApi.fromFile(cluster.kubeconfig)
  t.teardown(() => api.close())
  const { uid = '' } = (await api.get('/api/v1/namespaces/kube-system')).metadata
  const { migration } = testMigration()
  t.false(await isRebuilt(migration, api), 'this run has begun none')
  rememberRebuilt(migration, 'of another cluster')
  t.false(await isRebuilt(migration, api), 'the old machine is back')
  rememberRebuilt(migration, uid)
  t.true(await isRebuilt(migration, api))
  t.is(rebuiltCluster(migration), uid)
})
