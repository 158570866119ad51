import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { evacuationLabel } from '../../lib/kubernetes/evacuation/job.ts'
import { jobsAreDone } from '../../lib/kubernetes/jobs.ts'
import { type BareCluster, startBareCluster } from './bare-cluster.ts'
import { testMigration } from './test-migration.ts'

const test = anyTest as TestFn
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
})

test.after.always(() => cluster?.stop())

/** A Job as its controller tells of it. */
async function job(namespace: string, status: Record<string, unknown>, claim?: string): Promise<string> {
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  const path = `/apis/batch/v1/namespaces/${namespace}/jobs`
  const volumes = claim ? [{ name: 'data', persistentVolumeClaim: { claimName: claim } }] : []
  const spec = { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never', volumes }
  await api.create(path, { metadata: { name: 'dump' }, spec: { template: { spec } } })
  await tell(`${path}/dump`, status)
  return `${path}/dump`
}

const tell = (path: string, status: Record<string, unknown>) =>
  api.mergePatch(`${path}/status`, { status: { startTime: '2026-01-01T00:00:00Z', ...status } })

const settings = (namespace: string, timeout: number) => ({
  STATEFUL_NAMESPACES: namespace,
  JOB_TIMEOUT: String(timeout),
})

test('a Job that runs is waited for until it is done', async (t) => {
  const path = await job('waited', { active: 1, ready: 1 })
  const { migration, lines } = testMigration(settings('waited', 60))
  const done = jobsAreDone(migration, api)
  while (!lines.some((line) => line.includes('waited/dump still running'))) await delay(50)
  const at = { lastProbeTime: '2026-01-01T00:00:05Z', lastTransitionTime: '2026-01-01T00:00:05Z' }
  await tell(path, {
    active: 0,
    ready: 0,
    succeeded: 1,
    completionTime: '2026-01-01T00:00:05Z',
    conditions: [
      { type: 'SuccessCriteriaMet', status: 'True', ...at },
      { type: 'Complete', status: 'True', ...at },
    ],
  })
  t.deepEqual(await done, [])
  t.false(lines.some((line) => line.startsWith('warn')))
})

test('one that does not end in time is named', async (t) => {
  await job('endless', { active: 1, ready: 1 })
  const { migration, lines } = testMigration(settings('endless', 1))
  t.deepEqual(await jobsAreDone(migration, api), ['endless/dump'])
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('Job endless/dump is still running')))
})

test('one whose pod cannot start is named, and not waited for', async (t) => {
  await job('stuck', { active: 1, ready: 0 })
  const { migration, lines } = testMigration(settings('stuck', 60))
  t.deepEqual(await jobsAreDone(migration, api), ['stuck/dump'])
  t.false(lines.some((line) => line.startsWith('detail')))
})

test('one that touches nothing stateful is nobody’s business', async (t) => {
  await job('stateless', { active: 1, ready: 1 })
  const { migration } = testMigration(settings('elsewhere', 60))
  t.deepEqual(await jobsAreDone(migration, api), [])
})

test('one that copies volumes, left by a kill, is not waited for here', async (t) => {
  const path = await job('copied', { active: 1, ready: 1 })
  const labels = { [evacuationLabel]: 'out' }
  await api.mergePatch(path, { metadata: { labels } })
  const { migration } = testMigration(settings('copied', 60))
  t.deepEqual(await jobsAreDone(migration, api), [])
})
