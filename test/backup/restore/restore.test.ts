import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import type { PersistentVolumeClaim, Pod } from '../../../lib/kubernetes/kinds.ts'
import { killWhen, type Practice, practise } from '../../end-to-end/on-practice-cluster.ts'
import { until } from '../../kubernetes/bare-cluster.ts'

const namespace = 'media'
const core = `/api/v1/namespaces/${namespace}`
const collections = ['configmaps', 'secrets', 'services', 'persistentvolumeclaims', 'serviceaccounts'].map(
  (name) => `${core}/${name}`,
)

test('a namespace that was deleted comes back by task migrate:restore, which bears being killed', async (t) => {
  const practice = await practise(t)
  // Flux and Argo CD would bring back what Git holds before a restore could.
  await practice.adversaries.stop()
  const api = await practice.cluster.api()
  t.teardown(() => api.close())
  const backup = await practice.task(['migrate:backup'])
  t.is(backup.exitCode, 0, backup.output)
  const before = await contentOf(api)
  const pods = await runningPods(api)

  await asksWhatToRestore(t, practice)
  await api.remove(`/api/v1/namespaces/${namespace}`)
  await until('the namespace is gone', async () => (await api.getOrNull(core)) === null, 120)
  await changesNothingInADryRun(t, practice, api)
  await isTakenUpAfterKill(t, practice)
  t.deepEqual(await contentOf(api), before)
  await until('as many pods run as before', async () => (await runningPods(api)) >= pods, 120)
  await until('all claims are bound', async () =>
    (await api.list<PersistentVolumeClaim>(`${core}/persistentvolumeclaims`)).every(
      ({ status }) => status?.phase === 'Bound',
    ),
  )
  await takesFlags(t, practice, api)
})

async function takesFlags(t: ExecutionContext, { task, cluster }: Practice, api: KubernetesApi): Promise<void> {
  const path = `${core}/secrets/plex`
  const { data } = await api.get(path)
  await api.mergePatch(path, { data: { 'claim-token': Buffer.from('changed').toString('base64') } })
  const select = [
    '--namespace',
    namespace,
    '--resource',
    'Secret,configmaps',
    '--name',
    'plex',
    '--selector',
    '!absent',
  ]
  const skipped = await task(['migrate:restore', '--', ...select])
  t.is(skipped.exitCode, 0, skipped.output)
  t.regex(skipped.output, /secrets +- +- +- +1 +- +-/)
  t.regex(skipped.output, /claim-token: \(hidden, as in the backup\)/)
  const refused = await task(['migrate:restore', '--', ...select, '--conflict', 'fail'])
  t.is(refused.exitCode, 1)
  t.regex(refused.output, /There already, and different \(1\): Secret media\/plex/)
  const folder = join(cluster.homelab.backupDir, readdirSync(cluster.homelab.backupDir)[0] ?? '')
  const updated = await task(['migrate:restore', '--', ...select, '--conflict', 'update', '--backup', folder])
  t.is(updated.exitCode, 0, updated.output)
  t.deepEqual((await api.get(path)).data, data)
  const nothing = await task(['migrate:restore', '--', '--name', 'nobody'])
  t.is(nothing.exitCode, 1)
  t.regex(nothing.output, /Nothing in .* matches: name nobody/)
}

async function asksWhatToRestore(t: ExecutionContext, { task }: Practice): Promise<void> {
  const { exitCode, output } = await task(['migrate:restore'])
  t.is(exitCode, 2)
  t.regex(output, /Nothing is selected/)
  t.regex(output, /--all/)
}

async function changesNothingInADryRun(t: ExecutionContext, { task }: Practice, api: KubernetesApi): Promise<void> {
  const { exitCode, output } = await task(['migrate:restore', '--', '--namespace', namespace, '--dry-run'])
  t.is(exitCode, 0, output)
  t.regex(output, /would Create Namespace media/)
  t.is(await api.getOrNull(core), null)
}

async function isTakenUpAfterKill(t: ExecutionContext, practice: Practice): Promise<void> {
  const command = ['migrate:restore', '--', '--namespace', namespace]
  const running = practice.task(command)
  await killWhen(
    practice,
    (records) => records.filter((one) => one.type === 'change' && /^Create /.test(one.what)).length >= 12,
  )
  t.not((await running).exitCode, 0)
  const again = await practice.task(command)
  t.is(again.exitCode, 0, again.output)
}

async function runningPods(api: KubernetesApi): Promise<number> {
  return (await api.list<Pod>(`${core}/pods`)).filter(({ status }) => status.phase === 'Running').length
}

async function contentOf(api: KubernetesApi): Promise<Record<string, unknown>> {
  const listed = await Promise.all(
    collections.map(async (path) => (await api.list(path)).map((object) => [path, object] as const)),
  )
  return Object.fromEntries(
    listed.flat().map(([path, object]) => {
      const { data, spec, type, metadata } = object as KubernetesObject & { data?: unknown }
      return [`${path}/${metadata.name}`, { data, spec, type, labels: metadata.labels }]
    }),
  )
}
