import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { isAutomatic, readArgoCd, servedArgoKinds } from '../../lib/gitops/argocd.ts'
import { readFlux, servedFluxKinds } from '../../lib/gitops/flux.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { scaleUndoSchema } from '../../lib/kubernetes/scale.ts'
import { listScalable } from '../../lib/kubernetes/workloads.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { compareTruths } from '../../lib/rehearsal/proofs.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { type Practice, practise } from './on-practice-cluster.ts'

const quietSeconds = 60

/** Of Flux, of Argo CD and of the Prometheus operator, one each. */
const contested = [
  '/apis/apps/v1/namespaces/databases/statefulsets/postgres',
  '/apis/apps/v1/namespaces/media/deployments/jellyfin',
  '/apis/apps/v1/namespaces/monitoring/statefulsets/prometheus-kube-prometheus-stack',
]

/** Whatever a person could have written of the things that a drain touches, annotations and labels included. */
async function written(api: KubernetesApi): Promise<Record<string, string>> {
  const [flux, argo] = await Promise.all([servedFluxKinds(api), servedArgoKinds(api)])
  const custom = [...flux, ...argo].map(({ group, version, resource }) => `/apis/${group}/${version}/${resource}`)
  const paths = [
    ...['deployments', 'statefulsets', 'daemonsets'].map((each) => `/apis/apps/v1/${each}`),
    ...['prometheuses', 'alertmanagers'].map((each) => `/apis/monitoring.coreos.com/v1/${each}`),
    '/apis/batch/v1/cronjobs',
    '/apis/autoscaling/v2/horizontalpodautoscalers',
    '/api/v1/nodes',
    ...custom,
  ]
  const lists = await Promise.all(
    paths.map(async (path) =>
      (await api.list(path)).map(({ metadata, spec }) => {
        const { namespace = '', name, labels, annotations } = metadata
        return [`${path} ${namespace}/${name}`, JSON.stringify([labels, annotations, spec])] as const
      }),
    ),
  )
  return Object.fromEntries(lists.flat())
}

async function comesBack(t: ExecutionContext, api: KubernetesApi, path: string): Promise<void> {
  const { replicas } = (await api.get(path)).spec as { replicas: number }
  await api.mergePatch(path, { spec: { replicas: 0 } })
  const deadline = Date.now() + 30_000
  while (((await api.get(path)).spec as { replicas: number }).replicas !== replicas) {
    if (Date.now() > deadline) return t.fail(`nobody has scaled ${path} back`)
    await delay(50)
  }
}

/** What is awake of what the drain has brought to rest. */
async function awake(api: KubernetesApi, quieted: ReadonlySet<string>): Promise<string[]> {
  const [workloads, flux, argo] = await Promise.all([
    listScalable(api),
    readFlux(api, await servedFluxKinds(api)),
    readArgoCd(api, await servedArgoKinds(api)),
  ])
  return [
    ...workloads.filter(({ path, replicas }) => quieted.has(path) && replicas > 0).map(({ path }) => path),
    ...flux.filter(({ suspended }) => !suspended).map(({ key }) => key),
    ...argo.filter(isAutomatic).map(({ key }) => key),
  ]
}

async function staysQuiet(t: ExecutionContext, api: KubernetesApi, practice: Practice): Promise<void> {
  const path = join(practice.cluster.homelab.outputDir, 'current', 'journal.jsonl')
  const scaled = Journal.inMemory(path, () => new Date()).changes({ kind: 'scale' })
  const quieted = new Set(scaled.map(({ undo }) => scaleUndoSchema.parse(undo).path))
  for (const each of contested) t.true(quieted.has(each), each)
  const before = practice.adversaries.actions.length
  const end = Date.now() + quietSeconds * 1000
  while (Date.now() < end) {
    t.deepEqual(await awake(api, quieted), [])
    await delay(500)
  }
  const putBack = practice.adversaries.actions.slice(before).filter(({ did }) => did === 'put back')
  t.deepEqual(putBack, [])
}

/** What the task said. */
async function succeeds(t: ExecutionContext, practice: Practice, args: string[]): Promise<string> {
  const { exitCode, output } = await practice.task(args)
  t.is(exitCode, 0, output)
  return output
}

test('who scales back at once loses against the drain, and a lost journal is made up for by the backup', async (t) => {
  const practice = await practise(t)
  const api = await practice.cluster.api()
  t.teardown(() => api.close())
  await practice.adversaries.ready
  for (const path of contested) await comesBack(t, api, path)
  t.log(`without suspension, ${contested.length} of ${contested.length} were scaled back`)

  await succeeds(t, practice, ['migrate:backup'])
  const before = await written(api)
  await succeeds(t, practice, ['migrate:drain'])
  t.notDeepEqual(await written(api), before)
  await staysQuiet(t, api, practice)
  t.log(`quiet for ${quietSeconds} s`)

  rmSync(practice.cluster.homelab.outputDir, { recursive: true })
  const quieted = await written(api)
  const refused = await practice.task(['migrate:resume'])
  t.is(refused.exitCode, 1)
  const plan = await succeeds(t, practice, ['migrate:resume', '--', '--from-backup', '--dry-run'])
  t.regex(plan, /Brought back from the backup/)
  t.deepEqual(await written(api), quieted)

  await succeeds(t, practice, ['migrate:resume', '--', '--from-backup'])
  t.deepEqual(await written(api), before)
  for (const { claim, against } of compareTruths(practice.before, await readTruth(api))) t.deepEqual(against, [], claim)
})
