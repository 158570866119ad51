import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import { resumeArgoCd } from '../../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../../lib/gitops/resume-flux.ts'
import { staysQuiet } from '../../lib/gitops/stay-quiet.ts'
import { suspendArgoCd } from '../../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../../lib/gitops/suspend-flux.ts'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { findCronJobs, resumeCronJobs, suspendCronJobs } from '../../lib/kubernetes/cronjobs.ts'
import { cordon, uncordon } from '../../lib/kubernetes/nodes.ts'
import { findOperated, pauseOperators, resumeOperators } from '../../lib/kubernetes/operators.ts'
import { scaleBack, scaleDown, scaleDownAgain } from '../../lib/kubernetes/scale.ts'
import { findStateful } from '../../lib/kubernetes/workloads.ts'
import type { Clock } from '../../lib/migration/clock.ts'
import { Journal } from '../../lib/migration/journal.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const test = anyTest as TestFn
const rounds = 6
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await installDefinitions(api, ['flux.yaml', 'argocd.yaml', 'prometheus-operator.yaml'])
})

test.after.always(() => cluster?.stop())

/** The same numbers for the same seed (mulberry32), so that a failure can be repeated. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const hasty: Clock = {
  now: () => new Date(),
  sleep: async () => {
    await delay(1)
  },
}

class Killed extends Error {}

/** An API whose user is killed at a certain write: before it, or after it and before the answer. Nothing is written afterwards. */
function mortal(journal: Journal, writes: number, afterEffect: boolean): { api: KubernetesApi; seen: () => number } {
  let left = writes
  let journaled = Number.POSITIVE_INFINITY
  const dying = new Set(['mergePatch', 'jsonPatch', 'create', 'replace', 'remove'])
  const proxy = new Proxy(api, {
    get(target, name) {
      const value = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!dying.has(String(name))) return value.bind(target)
      return async (...args: unknown[]) => {
        left--
        if (left < 0) throw new Killed()
        if (left > 0) return value.apply(target, args)
        journaled = journal.records.length
        if (afterEffect) await value.apply(target, args)
        throw new Killed()
      }
    },
  })
  return { api: proxy, seen: () => journaled }
}

/** Runs it, killing it at random writes and starting it again on the journal that the kill left, until it comes through. */
async function runMortal(
  random: (below: number) => number,
  namespace: string,
  journal: Journal,
  body: (migration: Migration, api: KubernetesApi) => Promise<void>,
): Promise<number> {
  for (let kills = 0; kills < 60; kills++) {
    const mortalApi = mortal(journal, 1 + random(8 + 4 * kills), random(2) === 0)
    const { migration } = testMigration(
      { STATEFUL_NAMESPACES: namespace, LOCAL_STORAGE_CLASSES: 'none', NFS_STORAGE_CLASSES: 'none' },
      { journal, clock: hasty },
    )
    try {
      await body(migration, mortalApi.api)
      return kills
    } catch (error) {
      if (mortalApi.seen() === Number.POSITIVE_INFINITY) throw error
      // What the dead process would not have written any more.
      journal.records.length = mortalApi.seen()
    }
  }
  throw new Error('it never came through')
}

const paths = (namespace: string) => ({
  deployments: `/apis/apps/v1/namespaces/${namespace}/deployments`,
  statefulsets: `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
  cronjobs: `/apis/batch/v1/namespaces/${namespace}/cronjobs`,
  kustomizations: `/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/${namespace}/kustomizations`,
  applications: `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications`,
  prometheuses: `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/prometheuses`,
})

const policies = [
  undefined,
  {},
  { automated: {} },
  { automated: { prune: true, selfHeal: true }, syncOptions: ['A=b'] },
  { automated: { enabled: false } },
]
const suspends = [{}, { suspend: false }, { suspend: true }]

/** A cluster as nobody planned it: every switch in every position, absent ones included. */
async function randomCluster(random: (below: number) => number, namespace: string, node: string) {
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  await api.create('/api/v1/nodes', { metadata: { name: node }, spec: random(2) ? { unschedulable: true } : {} })
  const at = paths(namespace)
  const labels = { app: 'x' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const pick = <T>(options: readonly T[]) => options[random(options.length)]
  const ofGroup = (apiVersion: string, kind: string, name: string, spec: unknown) => ({
    apiVersion,
    kind,
    metadata: { name },
    spec,
  })
  for (let index = 0; index < 4; index++) {
    const name = `n${index}`
    const spec = { replicas: random(4), selector: { matchLabels: labels }, template }
    await api.create(at.deployments, { metadata: { name }, spec })
    await api.create(at.statefulsets, { metadata: { name }, spec: { ...spec, serviceName: name } })
    const job = { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } }
    await api.create(at.cronjobs, {
      metadata: { name },
      spec: { schedule: '0 4 * * *', jobTemplate: job, ...pick(suspends) },
    })
    const source = { interval: '1m', prune: true, path: './', sourceRef: { kind: 'GitRepository', name: 'x' } }
    await api.create(
      at.kustomizations,
      ofGroup('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', name, { ...source, ...pick(suspends) }),
    )
    const syncPolicy = pick(policies)
    await api.create(
      at.applications,
      ofGroup('argoproj.io/v1alpha1', 'Application', name, {
        project: 'p',
        destination: {},
        ...(syncPolicy ? { syncPolicy } : {}),
      }),
    )
    await api.create(
      at.prometheuses,
      ofGroup('monitoring.coreos.com/v1', 'Prometheus', name, { replicas: 1, ...(random(3) ? {} : { paused: true }) }),
    )
  }
}

async function everything(namespace: string, node: string): Promise<unknown> {
  const lists = await Promise.all(Object.values(paths(namespace)).map((path) => api.list(path)))
  const objects = lists
    .flat()
    .map(({ spec, metadata }) => [metadata.name, metadata.annotations ?? {}, metadata.labels ?? {}, spec])
  return [objects, (await api.get(`/api/v1/nodes/${node}`)).spec]
}

for (let round = 1; round <= rounds; round++) {
  test.serial(`killed at any write, drain and resume leave every switch as it was (seed ${round})`, async (t) => {
    const random = randomOf(round)
    const namespace = `killed-${round}`
    const node = `node-${round}`
    await randomCluster(random, namespace, node)
    const before = await everything(namespace, node)
    const journal = Journal.inMemory(null, hasty.now)

    const drainKills = await runMortal(random, namespace, journal, async (migration, mortalApi) => {
      const { settings } = migration
      await suspendFlux(migration, mortalApi)
      await suspendArgoCd(migration, mortalApi)
      await pauseOperators(migration, mortalApi, await findOperated(mortalApi))
      await suspendCronJobs(migration, mortalApi, await findCronJobs(mortalApi, settings))
      await scaleDown(migration, mortalApi, await findStateful(mortalApi, settings))
      await cordon(migration, mortalApi, node)
      await staysQuiet(migration, mortalApi, () => scaleDownAgain(migration, mortalApi))
    })
    const replicas = (await api.list(paths(namespace).deployments)).map(
      ({ spec }) => (spec as { replicas: number }).replicas,
    )
    t.deepEqual(replicas, [0, 0, 0, 0])

    const resumeKills = await runMortal(random, namespace, journal, async (migration, mortalApi) => {
      await uncordon(migration, mortalApi)
      await scaleBack(migration, mortalApi)
      await resumeCronJobs(migration, mortalApi)
      await resumeOperators(migration, mortalApi)
      await resumeArgoCd(migration, mortalApi)
      await resumeFlux(migration, mortalApi)
    })
    t.deepEqual(await everything(namespace, node), before)
    t.log(`${drainKills} kills while draining, ${resumeKills} while resuming`)
    for (const path of Object.values(paths(namespace)))
      for (const { metadata } of await api.list(path)) await api.remove(`${path}/${metadata.name}`)
  })
}
