import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { quietWorkloads } from '../../lib/kubernetes/quiet.ts'
import { scaleBack, scaleDownAgain } from '../../lib/kubernetes/scale.ts'
import { findStateful } from '../../lib/kubernetes/workloads.ts'
import { type BareCluster, startBareCluster, until } from './bare-cluster.ts'
import { defineKinds } from './definitions.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster({ pods: true })
  api = cluster.api
  await defineKinds(api, [{ group: 'keda.sh', plural: 'scaledobjects', kind: 'ScaledObject' }])
  await api.create('/api/v1/nodes', {
    metadata: { name: 'node', annotations: { 'kwok.x-k8s.io/node': 'fake' } },
    status: {
      allocatable: { cpu: '8', memory: '8Gi', pods: '100' },
      capacity: { cpu: '8', memory: '8Gi', pods: '100' },
    },
  })
})

test.after.always(() => cluster?.stop())

const labels = { app: 'x' }
const autoscaler = (namespace: string) => `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`

async function deployment(namespace: string, replicas: number): Promise<string> {
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await api.create(path, {
    metadata: { name: 'plex' },
    spec: { replicas, selector: { matchLabels: labels }, template },
  })
  return `${path}/plex`
}

async function hpa(namespace: string, minReplicas: number) {
  await api.create(autoscaler(namespace), {
    metadata: { name: 'plex' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'plex' },
      minReplicas,
      maxReplicas: 5,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    },
  })
  return `${autoscaler(namespace)}/plex`
}

const replicas = async (path: string) => ((await api.get(path)).spec as { replicas: number }).replicas
const specOf = async (path: string) => JSON.stringify((await api.get(path)).spec)
const quiet = (namespace: string) =>
  testMigration({ STATEFUL_NAMESPACES: namespace, LOCAL_STORAGE_CLASSES: 'none', NFS_STORAGE_CLASSES: 'none' })

test('a HorizontalPodAutoscaler that scales up is off at 0 replicas, and goes on when the count is back', async (t) => {
  const path = await deployment('hpa', 1)
  const scaler = await hpa('hpa', 2)
  await until('the autoscaler has scaled up to its minimum', async () => (await replicas(path)) === 2)
  const before = await specOf(scaler)
  const { migration, journal } = quiet('hpa')
  await quietWorkloads(migration, api, await findStateful(api, migration.settings))
  const reason = async () => {
    const { conditions = [] } = (await api.get(scaler)).status as { conditions?: { type: string; reason: string }[] }
    return conditions.find(({ type }) => type === 'ScalingActive')?.reason
  }
  await until('the autoscaler has looked and is off', async () => (await reason()) === 'ScalingDisabled')
  t.is(await replicas(path), 0)
  t.deepEqual(
    journal.changes().map(({ what }) => what),
    ['Scale Deployment hpa/plex to 0'],
  )
  await scaleBack(migration, api)
  t.is(await replicas(path), 2)
  t.is(await specOf(scaler), before)
  await until('the autoscaler is on again', async () => (await reason()) !== 'ScalingDisabled')
})

/** KEDA as it is about its pause: what is paused has so many replicas, all else is scaled up from 0 at once. */
class Keda {
  scaledUp = 0
  #stopped = false
  readonly #playing: Promise<void>

  constructor(path: string, scaledObject: string) {
    this.#playing = this.#play(path, scaledObject)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#playing
  }

  async #play(path: string, scaledObject: string): Promise<void> {
    while (!this.#stopped) {
      const paused = (await api.get(scaledObject)).metadata.annotations?.['autoscaling.keda.sh/paused-replicas']
      const now = await replicas(path)
      const wanted = paused === undefined ? Math.max(now, 1) : Number(paused)
      if (paused === undefined && now === 0) this.scaledUp++
      if (now !== wanted) await api.mergePatch(path, { spec: { replicas: wanted } })
      await delay(20)
    }
  }
}

test('what KEDA scales stays at 0 while it is paused, and comes back with its count, though KEDA had set it to 0', async (t) => {
  const path = await deployment('keda', 3)
  const objects = '/apis/keda.sh/v1/namespaces/keda/scaledobjects'
  const object = (name: string) => ({
    apiVersion: 'keda.sh/v1',
    kind: 'ScaledObject',
    metadata: { name },
    spec: { scaleTargetRef: { name }, minReplicaCount: 1 },
  })
  await api.create(objects, object('plex'))
  // The autoscaler that KEDA keeps for it has the same target, and is nobody's business.
  await hpa('keda', 1)
  await api.create(objects, object('of-a-workload-that-is-not-touched'))
  const before = await api.get(`${objects}/plex`)
  const keda = new Keda(path, `${objects}/plex`)
  t.teardown(() => keda.stop())
  const { migration } = quiet('keda')

  await quietWorkloads(migration, api, await findStateful(api, migration.settings))
  const scaledUp = keda.scaledUp
  for (let looks = 0; looks < 20; looks++) {
    await delay(50)
    t.is(await replicas(path), 0)
  }
  t.is(keda.scaledUp, scaledUp)
  t.deepEqual(await scaleDownAgain(migration, api), [])
  t.deepEqual((await api.get(`${objects}/plex`)).metadata.annotations, { 'autoscaling.keda.sh/paused-replicas': '0' })
  t.is((await api.get(`${objects}/of-a-workload-that-is-not-touched`)).metadata.annotations, undefined)

  // Unlike this one, KEDA looks at what is paused only when that is changed.
  await keda.stop()
  await scaleBack(migration, api)
  t.is(await replicas(path), 3)
  t.deepEqual(
    [(await api.get(`${objects}/plex`)).metadata.annotations, (await api.get(`${objects}/plex`)).spec],
    [before.metadata.annotations, before.spec],
  )
})

test('without the pause KEDA wins', async (t) => {
  const path = await deployment('unpaused', 3)
  const objects = '/apis/keda.sh/v1/namespaces/unpaused/scaledobjects'
  await api.create(objects, {
    apiVersion: 'keda.sh/v1',
    kind: 'ScaledObject',
    metadata: { name: 'plex' },
    spec: { scaleTargetRef: { name: 'plex' } },
  })
  const keda = new Keda(path, `${objects}/plex`)
  t.teardown(() => keda.stop())
  await api.mergePatch(path, { spec: { replicas: 0 } })
  await until('it is scaled up again', async () => (await replicas(path)) > 0)
  t.true(keda.scaledUp > 0)
})
