import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ExecutionContext } from 'ava'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { type BareCluster, until } from './bare-cluster.ts'

/** A client that may do no more than these rules allow. */
export async function asServiceAccount(
  t: ExecutionContext<unknown>,
  cluster: BareCluster,
  rules: unknown[],
): Promise<KubernetesApi> {
  const { api, kubeconfig } = cluster
  const name = `reader-${randomUUID()}`
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  await api.create(accounts, { metadata: { name } })
  await api.create(`${rbac}/clusterroles`, { metadata: { name }, rules })
  await api.create(`${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
  })
  const { status } = await api.create<{ status: { token: string } }>(`${accounts}/${name}/token`, { spec: {} })
  const config = JSON.parse(await readFile(kubeconfig, 'utf8'))
  const users = [{ name: 'admin', user: { token: status.token } }]
  const limited = await KubernetesApi.fromString(JSON.stringify({ ...config, users }))
  t.teardown(() => limited.close())
  await until('the rules are known to the API server', async () => {
    await limited.raw('/api/v1/configmaps', { limit: 1 })
    return true
  })
  return limited
}
