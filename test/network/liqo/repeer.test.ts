import test from 'ava'
import { leftOvers } from '../../../lib/network/liqo/left-overs.ts'
import { lookForLiqo, type Side } from '../../../lib/network/liqo/side.ts'
import repeer from '../../../scripts/repeer.ts'
import unpeer from '../../../scripts/unpeer.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { Run, TwoClusters } from './two-clusters.ts'

let clusters: TwoClusters
test.before(async () => {
  clusters = await TwoClusters.start()
  const { api } = clusters.home
  await api.create('/api/v1/namespaces', { metadata: { name: 'hybrid-llm' } })
  await api.create('/apis/apps/v1/namespaces/hybrid-llm/deployments', {
    metadata: { name: 'vllm' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'vllm' } },
      template: {
        metadata: { labels: { app: 'vllm' } },
        spec: {
          containers: [{ name: 'vllm', image: 'vllm/vllm-openai' }],
          nodeSelector: { 'liqo.io/type': 'virtual-node' },
          tolerations: [{ key: 'virtual-node.liqo.io/not-allowed', operator: 'Exists' }],
        },
      },
    },
  })
})
test.after.always(() => clusters.stop())

const offloadings = '/apis/offloading.liqo.io/v1beta1/namespaces/hybrid-llm/namespaceoffloadings'
const offloading = {
  ...{ apiVersion: 'offloading.liqo.io/v1beta1', kind: 'NamespaceOffloading', metadata: { name: 'offloading' } },
  spec: { namespaceMappingStrategy: 'EnforceSameName', podOffloadingStrategy: 'Remote' },
}

async function offloadedPodsRun(): Promise<void> {
  await until('the offloaded pods are ready', async () => {
    const { status } = await clusters.home.api.get('/apis/apps/v1/namespaces/hybrid-llm/deployments/vllm')
    return (status as { readyReplicas?: number }).readyReplicas === 2
  })
}

async function leftOnBothSides(): Promise<string[]> {
  const both: [Side['name'], TwoClusters['home'], string][] = [
    ['here', clusters.home, 'aws-gpu'],
    ['there', clusters.aws, 'catalyst'],
  ]
  const left = await Promise.all(
    both.map(async ([name, { api, kubeconfig }, other]) => {
      const found = await lookForLiqo({ name, api, kubeconfig, namespace: 'liqo' })
      return found.state === 'running' ? leftOvers(found.side, other) : []
    }),
  )
  return left.flat().map(({ resource, object }) => `${resource} ${object.metadata.name}`)
}

/** What the peering is made of, as far as a person had a say in it. */
async function asAskedFor() {
  const { home, aws } = clusters
  const spec = async ({ api }: TwoClusters['home'], path: string) =>
    (await api.list(`/apis/${path}`)).map((one) => one.spec)
  const slices = await home.api.list('/apis/authentication.liqo.io/v1beta1/resourceslices')
  const gateways = (await spec(aws, 'networking.liqo.io/v1beta1/gatewayservers')) as { endpoint: object; mtu: number }[]
  const clients = (await spec(home, 'networking.liqo.io/v1beta1/gatewayclients')) as { endpoint: object }[]
  return {
    gateways: gateways.map(({ endpoint, mtu }) => ({ endpoint, mtu })),
    clients: clients.map(({ endpoint }) => endpoint),
    slices: slices.map(({ metadata, spec }) => ({ name: metadata.name, spec, annotations: metadata.annotations })),
  }
}

test.serial('a peering is written down, torn down on both sides, and made again as it was', async (t) => {
  const { home } = clusters
  await clusters.peer(...['--gw-server-service-port', '51900', '--gw-client-address', '10.42.0.1', '--mtu', '1300'])
  await clusters.peer(
    ...['--gw-server-service-port', '51900', '--gw-client-address', '10.42.0.1', '--mtu', '1300', '--cpu', '8'],
  )
  await home.api.create(offloadings, offloading)
  await offloadedPodsRun()
  const before = await asAskedFor()

  const run = new Run(clusters)
  const down = await run.phase(unpeer)
  t.is(down.code, 0, down.text)
  t.deepEqual(await leftOnBothSides(), [])
  t.is(await clusters.virtualNode(), null)
  t.notRegex(run.journalText(), /PRIVATE KEY|signedCRT|csr/i, 'nothing secret is written down')

  await home.api.remove(`${offloadings}/offloading`)
  const again = await run.phase(repeer)
  t.is(again.code, 0, again.text)
  t.deepEqual(await asAskedFor(), before)
  const put = await home.api.get(`${offloadings}/offloading`)
  t.deepEqual(put.spec, offloading.spec, 'what had gone of the offloaded namespaces is back')
  await offloadedPodsRun()

  const once = await run.phase(repeer)
  t.is(once.code, 0, once.text)
  t.deepEqual(await asAskedFor(), before, 'a second call changes nothing')
})
