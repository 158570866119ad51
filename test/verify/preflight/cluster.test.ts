import test from 'ava'
import { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { takeBaseline } from '../../../lib/verify/baseline.ts'
import { accessChecks } from '../../../lib/verify/preflight/access.ts'
import { clusterStateChecks } from '../../../lib/verify/preflight/cluster.ts'
import { type BareCluster, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { fakeContext, resultOf } from './fake-context.ts'

let cluster: BareCluster
let api: KubernetesApi
const room = { cpu: '16', memory: '64Gi', pods: '110' }

test.before(async () => {
  cluster = await startBareCluster({ pods: true })
  api = cluster.api
  const labels = { 'liqo.io/type': 'virtual-node' }
  await api.create('/api/v1/nodes', { metadata: { name: 'talos00' }, status: { capacity: room, allocatable: room } })
  await api.create('/api/v1/nodes', { metadata: { name: 'liqo-aws', labels }, spec: { unschedulable: true } })
  await until('the node is ready', async () => {
    const { nodes } = await takeBaseline(api)
    return nodes.some(({ key, ready }) => key === 'Node talos00' && ready)
  })
})

test.after.always(() => cluster?.stop())

const contextOf = (more: Record<string, string> = {}) => fakeContext({ openApi: async () => api }, more)

const findings = async (name: string, more: Record<string, string> = {}) =>
  (await resultOf(clusterStateChecks, name, contextOf(more))).findings

test('a ready node of the right name is fine', async (t) => {
  t.deepEqual(await findings('The Node is there and ready'), [])
})

test('a NODE_NAME that no Node has is an error that lists the Nodes', async (t) => {
  const [finding] = await findings('The Node is there and ready', { NODE_NAME: 'talos99' })
  t.like(finding, { severity: 'error', wayOut: 'Correct NODE_NAME.' })
  t.regex(finding?.evidence ?? '', /talos00/)
})

test("Liqo's virtual node as NODE_NAME is an error", async (t) => {
  const [finding] = await findings('The Node is there and ready', { NODE_NAME: 'liqo-aws' })
  t.like(finding, { severity: 'error', evidence: 'it is a virtual node of Liqo' })
})

test('a TALOS_NODE that is not the address of the Node is an error, for another machine would be shut down', async (t) => {
  const name = 'TALOS_NODE is the address of the Node'
  const node = await api.get('/api/v1/nodes/talos00')
  const { addresses = [] } = node.status as { addresses?: { type: string; address: string }[] }
  const address = addresses.find(({ type }) => type === 'InternalIP')?.address ?? ''
  t.deepEqual(await findings(name, { TALOS_NODE: address }), [])
  t.like((await findings(name, { TALOS_NODE: '192.168.1.99' }))[0], { severity: 'error' })
})

test('a pod that drain would refuse is an error, a budget that drain can get around a warning', async (t) => {
  const namespace = 'default'
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } }).catch(() => undefined)
  const labels = { app: 'db' }
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  await api.create(`/api/v1/namespaces/${namespace}/pods`, { metadata: { name: 'lonely' }, spec })
  const deployment = { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } }
  await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, { metadata: { name: 'db' }, spec: deployment })
  const budgets = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`
  await api.create(budgets, {
    metadata: { name: 'keep' },
    spec: { minAvailable: 1, selector: { matchLabels: labels } },
  })
  await until('the budget is met', async () => {
    const { status } = await api.get(`${budgets}/keep`)
    return (status as { currentHealthy?: number }).currentHealthy === 1
  })
  const found = await findings('Nothing blocks the drain')
  t.deepEqual(found.map(({ subject, severity }) => [subject, severity]).sort(), [
    ['Pod default/lonely', 'error'],
    ['PodDisruptionBudget default/keep', 'warning'],
  ])
})

test('where local volumes cannot be copied is told in the afternoon, and not when all is quiet', async (t) => {
  const name = 'Local volumes can be copied where EVACUATE_TO says'
  const found = async (settings: Record<string, string>) =>
    (await resultOf(clusterStateChecks, name, contextOf(settings))).findings.map(({ evidence }) => evidence)
  t.deepEqual(await found({}), [])
  const [unknown = ''] = await found({ EVACUATE_TO: 'nowhere' })
  t.regex(unknown, /no storage class nowhere/)
})

test('rights that are missing are named one by one', async (t) => {
  const name = 'We may do what the evening needs'
  t.deepEqual((await resultOf(accessChecks, name, contextOf())).findings, [])
  const account = '/api/v1/namespaces/kube-system/serviceaccounts'
  await api.create(account, { metadata: { name: 'weak' } })
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const { status } = await api.create<{ status: { token: string } }>(`${account}/weak/token`, request)
  const weak = await KubernetesApi.fromString(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: api.server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: status.token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  )
  const { findings: found } = await resultOf(accessChecks, name, fakeContext({ openApi: async () => weak }))
  weak.close()
  t.true(found.length >= 8)
  t.true(found.some(({ subject, severity }) => subject === 'create pods/eviction' && severity === 'error'))
})

test('an API of another version than the settings say is a warning', async (t) => {
  const { findings: found } = await resultOf(
    accessChecks,
    'The kubeconfig opens the cluster',
    contextOf({ KUBERNETES_VERSION: 'v1.33.9' }),
  )
  t.like(found[0], { severity: 'warning' })
})

test('without a kubeconfig one check says why, and those that need it say that they could not look', async (t) => {
  const context = fakeContext({}, { KUBECONFIG: '/nonexistent' })
  const opened = await resultOf(accessChecks, 'The kubeconfig opens the cluster', context)
  t.regex(opened.findings[0]?.evidence ?? '', /cannot be read/)
  const needy = await resultOf(clusterStateChecks, 'Nothing blocks the drain', context)
  t.is(needy.notChecked, 'it needs the Kubernetes API')
})
