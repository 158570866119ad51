import { readFileSync } from 'node:fs'
import test from 'ava'
import { workloadsAreReady } from '../../../lib/kubernetes/readiness.ts'
import type { Journal, JournaledChange } from '../../../lib/migration/journal.ts'
import type { Sides } from '../../../lib/network/liqo/arguments.ts'
import { leftOvers } from '../../../lib/network/liqo/left-overs.ts'
import { Liqoctl } from '../../../lib/network/liqo/liqoctl.ts'
import { undoOffloading } from '../../../lib/network/liqo/offloading.ts'
import { undoPeer } from '../../../lib/network/liqo/peer.ts'
import { leftToRepeer } from '../../../lib/network/liqo/record.ts'
import { undoUnpeer } from '../../../lib/network/liqo/unpeer.ts'
import repeer from '../../../scripts/repeer.ts'
import unpeer from '../../../scripts/unpeer.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { Run, sidesOf, TwoClusters } from './two-clusters.ts'

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

/** Of those that are on every node, the virtual one too, and need none of them. */
async function installDaemonSet(): Promise<void> {
  const labels = { app: 'exporter' }
  const containers = [{ name: 'exporter', image: 'exporter' }]
  await clusters.home.api.create('/apis/apps/v1/namespaces/default/daemonsets', {
    metadata: { name: 'exporter' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers, tolerations: [{ operator: 'Exists' }] } },
    },
  })
  await until('it is on both nodes', async () => {
    const { status } = await clusters.home.api.get('/apis/apps/v1/namespaces/default/daemonsets/exporter')
    return (status as { numberReady?: number }).numberReady === 2
  })
}

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

const sides = (): Promise<Sides> => sidesOf(clusters)

async function leftOnBothSides(): Promise<string[]> {
  const { here, there } = await sides()
  const left = await Promise.all([leftOvers(here, 'aws-gpu'), leftOvers(there, 'catalyst')])
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
  await installDaemonSet()
  const before = await asAskedFor()

  const run = new Run(clusters)
  const mesh = run.meshKubeconfig('127.0.99.1')
  const moved = {
    TALOS_NODE: '127.0.99.1',
    NEW_TALOS_NODE: new URL(home.api.server).hostname,
    LIQO_MESH_KUBECONFIG: mesh,
  }
  const down = await run.phase(unpeer, [], moved)
  t.is(down.code, 0, down.text)
  t.deepEqual(await leftOnBothSides(), [])
  t.is(await clusters.virtualNode(), null)
  const resuming = testMigration({}, { journal: run.journal() })
  const later = leftToRepeer(resuming.migration)
  t.deepEqual(later, ['Deployment hybrid-llm/vllm'])
  t.regex(resuming.lines.join(), /Not waited for here, but by migrate:repeer.*Deployment hybrid-llm\/vllm/)
  await t.notThrowsAsync(workloadsAreReady(resuming.migration, home.api, later), 'resume does not wait for it')
  t.notRegex(run.journalText(), /PRIVATE KEY|signedCRT|csr/i, 'nothing secret is written down')

  await home.api.remove(`${offloadings}/offloading`)
  const again = await run.phase(repeer, [], moved)
  t.is(again.code, 0, again.text)
  t.deepEqual(await asAskedFor(), before)
  t.deepEqual(leftToRepeer(testMigration({}, { journal: run.journal() }).migration), [])
  t.is(readFileSync(mesh, 'utf8'), `# from the mesh\n${readFileSync(home.kubeconfig, 'utf8')}`)
  t.regex(again.text, /Set the server of bare \(https:\/\/127\.[\d.]+:6443\) in .*mesh\.kubeconfig made/)
  const put = await home.api.get(`${offloadings}/offloading`)
  t.deepEqual(put.spec, offloading.spec, 'what had gone of the offloaded namespaces is back')
  await offloadedPodsRun()

  t.true(run.journal().ended, 'alone, the two are a run of their own')

  const { here } = await sides()
  const [change] = run.journal().changes({ kind: 'liqo-offloading' })
  if (change === undefined) return t.fail('the offloading was not journaled')
  t.is(await undoOffloading(here, change), 'undone')
  t.is(await undoOffloading(here, change), 'already')
})

const begun = (journal: Journal, kind: string) => journal.changes({ kind }).length > 0
const done = (journal: Journal, kind: string) => journal.changes({ kind }).some(({ state }) => state === 'done')

test.serial(
  'killed in the middle of it, and between unpeering and the clean-up, the same command goes on',
  async (t) => {
    const { home, play } = clusters
    const slices = '/apis/authentication.liqo.io/v1beta1/namespaces/liqo-tenant-aws-gpu/resourceslices'
    await home.api.create(slices, {
      ...{ apiVersion: 'authentication.liqo.io/v1beta1', kind: 'ResourceSlice' },
      metadata: {
        name: 'extra',
        labels: {
          'liqo.io/replication': 'true',
          'liqo.io/remoteID': 'aws-gpu',
          'liqo.io/remote-cluster-id': 'aws-gpu',
        },
      },
      spec: { class: 'default', providerClusterID: 'aws-gpu', resources: { cpu: '1' } },
    })
    const run = new Run(clusters)

    play.jam('virtualnodes')
    const first = run.start('unpeer')
    await run.killWhen(first, (journal) => begun(journal, 'liqo-unpeer'))
    clusters.killLiqoctl()
    play.free()
    play.jam('foreignclusters')
    const second = run.start('unpeer')
    await run.killWhen(second, (journal) => done(journal, 'liqo-unpeer'))
    play.free()
    const down = await run.phase(unpeer)
    t.is(down.code, 0, down.text)
    t.deepEqual(await leftOnBothSides(), [])

    const third = run.start('repeer')
    await until(
      'liqoctl has begun to peer',
      async () => (await home.api.list(slices.replace(/namespaces.*/, 'identities'))).length > 0,
    )
    await run.kill(third)
    clusters.killLiqoctl()
    const again = await run.phase(repeer)
    t.is(again.code, 0, again.text)
    const made = (await home.api.list(slices)).map(({ metadata, spec }) => [
      metadata.name,
      (spec as { resources: object }).resources,
    ])
    t.deepEqual(made, [
      ['aws-gpu', { cpu: '8' }],
      ['extra', { cpu: '1' }],
    ])
    await offloadedPodsRun()

    // What a rollback does.
    const { migration } = testMigration({ LIQO_TIMEOUT: '240' })
    const mesh = { ...(await sides()), liqoctl: await Liqoctl.find(clusters.liqoctl) }
    const change = (kind: string) => run.journal().changes({ kind })[0] as JournaledChange
    t.is(await undoUnpeer(migration, mesh, change('liqo-unpeer')), 'already')
    t.is(await undoPeer(migration, mesh, change('liqo-peer')), 'undone')
    await until('nothing is left', async () => (await leftOnBothSides()).length === 0, 120)
    t.is(await undoPeer(migration, mesh, change('liqo-peer')), 'already')
    t.is(await undoUnpeer(migration, mesh, change('liqo-unpeer')), 'undone')
    t.is((await home.api.list(slices)).length, 2)
  },
)
