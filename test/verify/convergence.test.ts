import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { type Baseline, takeBaseline } from '../../lib/verify/baseline.ts'
import { compare } from '../../lib/verify/comparison.ts'
import { converge } from '../../lib/verify/convergence.ts'
import type { Look } from '../../lib/verify/look.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

let cluster: BareCluster
let api: KubernetesApi
const deployments = '/apis/apps/v1/namespaces/default/deployments'
/** A look at the API alone: there is no machine. */
const lookFor =
  (before: Baseline): Look =>
  async () => {
    const now = await takeBaseline(api)
    return { ...compare(before, now), now }
  }

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})

test.after.always(() => cluster?.stop())

async function deployment(name: string) {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await api.create(deployments, {
    metadata: { name },
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  })
}

/** As the controller writes it. */
async function status(name: string, ready: number) {
  const { generation } = (await api.get(`${deployments}/${name}`)).metadata
  const written = {
    observedGeneration: generation,
    replicas: 1,
    updatedReplicas: 1,
    readyReplicas: ready,
    availableReplicas: ready,
  }
  await api.mergePatch(`${deployments}/${name}/status`, { status: written })
}

test.serial('a baseline of a cluster without GitOps, secrets store or ingress has empty lists', async (t) => {
  await api.create('/api/v1/namespaces', { metadata: { name: 'default' } }).catch(() => undefined)
  const baseline = await takeBaseline(api)
  t.deepEqual([baseline.flux, baseline.applications, baseline.externalSecrets, baseline.hosts], [[], [], [], []])
})

test.serial('verify waits for what is still coming up', async (t) => {
  await deployment('slow')
  await status('slow', 1)
  const before = await takeBaseline(api)
  await status('slow', 0)
  const { migration, lines } = testMigration()
  const result = converge(migration, api, lookFor(before))
  while (!lines.some((line) => line.startsWith('detail') && line.includes('Deployment default/slow'))) await delay(20)
  await status('slow', 1)
  t.deepEqual((await result).newlyBroken, [])
})

test.serial('verify does not wait for what was broken before', async (t) => {
  await deployment('old')
  await status('old', 0)
  const before = await takeBaseline(api)
  const { migration, lines } = testMigration()
  const result = await converge(migration, api, lookFor(before))
  t.deepEqual(
    result.brokenBefore.map(({ subject }) => subject),
    ['Deployment default/old'],
  )
  t.deepEqual(
    lines.filter((line) => line.startsWith('detail')),
    [],
  )
})

test.serial('verify does not wait for what only resume brings back', async (t) => {
  const before = await takeBaseline(api)
  await api.mergePatch(`${deployments}/slow`, { spec: { replicas: 0 } })
  await status('slow', 0)
  const { migration, lines } = testMigration()
  const result = await converge(migration, api, lookFor(before))
  t.deepEqual(
    result.newlyBroken.map(({ check }) => check),
    ['Replica counts are as before'],
  )
  t.deepEqual(
    lines.filter((line) => line.startsWith('detail')),
    [],
  )
})

test.serial('after CONVERGE_TIMEOUT verify ends with what it last saw', async (t) => {
  await api.mergePatch(`${deployments}/slow`, { spec: { replicas: 1 } })
  await status('slow', 1)
  const before = await takeBaseline(api)
  await status('slow', 0)
  const { migration } = testMigration({ CONVERGE_TIMEOUT: '1' })
  const result = await converge(migration, api, lookFor(before))
  t.deepEqual(
    result.newlyBroken.map(({ subject }) => subject),
    ['Deployment default/slow'],
  )
})

test.serial('GitOps objects are in the baseline once their kinds are served', async (t) => {
  await installDefinitions(api, ['argocd.yaml', 'external-secrets.yaml'])
  const spec = { project: 'default', destination: {}, syncPolicy: { automated: {} } }
  const application = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', metadata: { name: 'a' }, spec }
  await api.create('/apis/argoproj.io/v1alpha1/namespaces/default/applications', application)
  const { applications } = await takeBaseline(api)
  t.like(applications[0], { key: 'Application default/a', automated: true, sync: 'Unknown' })
})
