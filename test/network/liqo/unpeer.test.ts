import test from 'ava'
import { undoOrphan } from '../../../lib/network/liqo/orphans.ts'
import repeer from '../../../scripts/repeer.ts'
import unpeer from '../../../scripts/unpeer.ts'
import { until } from '../../kubernetes/bare-cluster.ts'
import { Run, TwoClusters } from './two-clusters.ts'

const tenants = '/apis/authentication.liqo.io/v1beta1/tenants'
const controllers = '/apis/apps/v1/namespaces/liqo/deployments/liqo-controller-manager'
const foreignClusters = '/apis/core.liqo.io/v1beta1/foreignclusters'

let clusters: TwoClusters
test.before(async () => {
  clusters = await TwoClusters.start()
})
test.after.always(() => clusters.stop())

test.serial('without Liqo, with Liqo at rest and without a peering, one sentence is all', async (t) => {
  const run = new Run(clusters)
  const absent = await run.phase(unpeer, [], { LIQO_NAMESPACE: 'elsewhere' })
  t.is(absent.code, 0, absent.text)
  t.regex(absent.text, /Liqo is not installed in this cluster \(namespace elsewhere\): nothing to do\./)
  const alone = await run.phase(unpeer)
  t.is(alone.code, 0, alone.text)
  t.regex(alone.text, /Liqo \(catalyst\) is peered with no other cluster: nothing to tear down\./)
  const nothing = await run.phase(repeer)
  t.is(nothing.code, 0, nothing.text)
  t.regex(nothing.text, /This run has recorded no Liqo peering/)
  await clusters.home.api.mergePatch(controllers, { spec: { replicas: 0 } })
  const atRest = await run.phase(unpeer)
  t.is(atRest.code, 0, atRest.text)
  t.regex(atRest.text, /Liqo is scaled to zero .*liqo\/liqo-controller-manager.*: its peerings are left as they are\./)
  await clusters.home.api.mergePatch(controllers, { spec: { replicas: 1 } })
})

test.serial('what is missing is said before anything is changed', async (t) => {
  await clusters.peer()
  const run = new Run(clusters)
  const asked: [Record<string, string>, RegExp][] = [
    [{ LIQO_REMOTE_KUBECONFIG: '' }, /LIQO_REMOTE_KUBECONFIG names no kubeconfig.*--local-only/s],
    [
      { LIQO_REMOTE_KUBECONFIG: run.unreachable() },
      /The other cluster cannot be reached: https:\/\/127\.0\.0\.1:1 does not answer.*--local-only/s,
    ],
    [{ LIQO_REMOTE_NAMESPACE: 'elsewhere' }, /Liqo is not installed in the other cluster.*LIQO_REMOTE_NAMESPACE/s],
    [{ LIQOCTL: '/no/such/liqoctl' }, /There is no working liqoctl: \/no\/such\/liqoctl/],
  ]
  for (const [settings, says] of asked) {
    const { code, text } = await run.phase(unpeer, [], settings)
    t.is(code, 1, text)
    t.regex(text, says)
  }
  const dry = await run.phase(unpeer, ['--dry-run'])
  t.is(dry.code, 0, dry.text)
  t.regex(dry.text, /Unpeer catalyst \(consumer\) from aws-gpu \(provider\) with liqoctl would be made/)
  t.is((await clusters.home.api.list(foreignClusters)).length, 1, 'nothing was changed')
})

test.serial('whether to tear down is asked, LIQO_TEARDOWN answers it, and what is left alone is said', async (t) => {
  const run = new Run(clusters)
  run.answer = false
  const said = await run.phase(unpeer)
  t.is(said.code, 0, said.text)
  t.regex(said.text, /The peering with aws-gpu is left as it is/)
  run.answer = true
  const no = await run.phase(unpeer, [], { LIQO_TEARDOWN: 'no' })
  t.regex(no.text, /The peering with aws-gpu is left as it is/)
  t.is((await clusters.home.api.list(foreignClusters)).length, 1)
})

test.serial('a peering that is left as it is, is made again over what is there', async (t) => {
  const run = new Run(clusters)
  await run.phase(unpeer, [], { LIQO_TEARDOWN: 'no' })
  const again = await run.phase(repeer)
  t.is(again.code, 0, again.text)
  t.not(await clusters.virtualNode(), null)
})

test.serial('between drain and resume neither is done', async (t) => {
  const run = new Run(clusters)
  await run.phase(unpeer, [], { LIQO_TEARDOWN: 'no' })
  await run.drained()
  const early = await run.phase(repeer)
  t.is(early.code, 1)
  t.regex(early.text, /The cluster is still quiet: migrate:repeer comes after migrate:resume/)
  await clusters.home.api.mergePatch(controllers, { spec: { replicas: 0 } })
  const late = await run.phase(unpeer)
  t.is(late.code, 1)
  t.regex(late.text, /Liqo was stopped by this run’s drain/)
  await clusters.home.api.mergePatch(controllers, { spec: { replicas: 1 } })
})

test.serial(
  'other peerings are left alone, what Git would make again is named, and GitOps rests until repeer',
  async (t) => {
    const { api } = clusters.home
    const labels = { 'kustomize.toolkit.fluxcd.io/name': 'mesh', 'kustomize.toolkit.fluxcd.io/namespace': 'default' }
    await api.mergePatch(`${foreignClusters}/aws-gpu`, { metadata: { labels } })
    await clusters.installFlux()
    await api.create(foreignClusters, {
      ...{ apiVersion: 'core.liqo.io/v1beta1', kind: 'ForeignCluster', metadata: { name: 'edge' } },
      spec: { clusterID: 'edge' },
    })
    const run = new Run(clusters)
    const { code, text } = await run.phase(unpeer)
    t.is(code, 0, text)
    t.regex(text, /Liqo is peered with edge too/)
    t.regex(
      text,
      /foreignclusters\.core\.liqo\.io aws-gpu comes from Git: Kustomization default\/mesh would make it again/,
    )
    t.true(await clusters.fluxIsSuspended())
    t.deepEqual(
      (await api.list(foreignClusters)).map(({ metadata }) => metadata.name),
      ['edge'],
    )
    const again = await run.phase(repeer)
    t.is(again.code, 0, again.text)
    t.false(await clusters.fluxIsSuspended())
    await api.remove(`${foreignClusters}/edge`)
  },
)

test.serial('what is left on either side is named, and removed on request, finalizers included', async (t) => {
  const { home, aws, play } = clusters
  play.jam('tenants', 'quotas', 'foreignclusters')
  const run = new Run(clusters)
  const left = await run.phase(unpeer, [], { LIQO_TIMEOUT: '5' })
  t.is(left.code, 1)
  t.regex(
    left.text,
    /tenants\.authentication\.liqo\.io liqo-tenant-catalyst\/catalyst in the other cluster \(aws-gpu\)/,
  )
  t.regex(left.text, /task migrate:unpeer -- --remove-orphans/)
  let removed = await run.phase(unpeer, ['--remove-orphans'], { LIQO_TIMEOUT: '30' })
  // Kubernetes ends namespaces in its own time; the same command waits on.
  for (let again = 0; removed.code !== 0 && again < 5; again++) {
    removed = await run.phase(unpeer, ['--remove-orphans'], { LIQO_TIMEOUT: '60' })
  }
  t.is(removed.code, 0, removed.text)
  t.regex(
    run.journalText(),
    /Remove tenants\.authentication\.liqo\.io liqo-tenant-catalyst\/catalyst in the other cluster \(aws-gpu\), finalizers included/,
  )
  t.deepEqual(await aws.api.list(tenants), [])
  play.free()

  const apis = { here: home.api, there: aws.api }
  const changes = run.journal().changes({ kind: 'liqo-orphan' })
  const undo = async (what: RegExp) => {
    const change = changes.find((each) => what.test(each.what))
    if (change === undefined) throw new Error(`nothing was journaled as ${what}`)
    return undoOrphan(apis, change)
  }
  t.is(await undo(/^Remove namespaces liqo-tenant-catalyst in the other/), 'undone')
  t.is(await undo(/^Remove namespaces liqo-tenant-catalyst in the other/), 'already')
  t.is(await undo(/^Remove tenants/), 'undone')
  t.is((await aws.api.list(tenants)).length, 1)
  await aws.api.remove('/api/v1/namespaces/liqo-tenant-catalyst')
  play.free()
  await until('what was put back is gone', async () => {
    const namespaces = await aws.api.list('/api/v1/namespaces')
    const all = [
      ...namespaces.filter(({ metadata }) => metadata.name.startsWith('liqo-tenant')),
      ...(await aws.api.list(foreignClusters)),
    ]
    return all.length === 0
  })
  t.regex(await undo(/^Remove tenants/), /^conflict: where it was, there is nothing any more/)
})

test.serial('when the other cluster cannot be reached, this cluster’s half goes on request', async (t) => {
  await until(
    'nothing is left of the last one',
    async () => (await clusters.aws.api.list(foreignClusters)).length === 0,
  )
  await clusters.peer()
  const run = new Run(clusters)
  const only = await run.phase(unpeer, ['--local-only'], { LIQO_REMOTE_KUBECONFIG: run.unreachable() })
  t.is(only.code, 0, only.text)
  t.regex(only.text, /aws-gpu still holds its half\. When it answers again: task migrate:unpeer -- --remove-orphans/)
  t.deepEqual(await clusters.home.api.list(foreignClusters), [])
  t.is((await clusters.aws.api.list(tenants)).length, 1)
  const rest = await run.phase(unpeer, ['--remove-orphans'])
  t.is(rest.code, 0, rest.text)
  t.deepEqual(await clusters.aws.api.list(tenants), [])
})
