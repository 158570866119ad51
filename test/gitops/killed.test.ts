import { setTimeout as delay } from 'node:timers/promises'
import anyTest, { type TestFn } from 'ava'
import { resumeArgoCd } from '../../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../../lib/gitops/resume-flux.ts'
import { staysQuiet } from '../../lib/gitops/stay-quiet.ts'
import { suspendArgoCd } from '../../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../../lib/gitops/suspend-flux.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { findCronJobs, resumeCronJobs, suspendCronJobs } from '../../lib/kubernetes/cronjobs.ts'
import { cordon, uncordon } from '../../lib/kubernetes/nodes.ts'
import { findOperated, pauseAgain, pauseOperators, resumeOperators } from '../../lib/kubernetes/operators.ts'
import { quietWorkloads } from '../../lib/kubernetes/quiet.ts'
import { scaleBack, scaleDownAgain } from '../../lib/kubernetes/scale.ts'
import { findStrangers, stopStrangers } from '../../lib/kubernetes/strangers.ts'
import { findStateful, listScalable } from '../../lib/kubernetes/workloads.ts'
import type { Clock } from '../../lib/migration/clock.ts'
import { Journal } from '../../lib/migration/journal.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { defineKinds } from '../kubernetes/definitions.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const test = anyTest as TestFn
const rounds = 10
let cluster: BareCluster
let api: KubernetesApi

const kinds = [
  { group: 'postgresql.cnpg.io', plural: 'clusters', kind: 'Cluster' },
  { group: 'rabbitmq.com', plural: 'rabbitmqclusters', kind: 'RabbitmqCluster' },
  { group: 'keda.sh', plural: 'scaledobjects', kind: 'ScaledObject' },
  { group: 'dragonflydb.io', plural: 'dragonflies', kind: 'Dragonfly' },
  { group: 'core.strimzi.io', plural: 'strimzipodsets', kind: 'StrimziPodSet' },
]

test.before(async () => {
  cluster = await startBareCluster()
  api = cluster.api
  await installDefinitions(api, ['flux.yaml', 'argocd.yaml', 'prometheus-operator.yaml'])
  await defineKinds(api, kinds)
  await letWriteStatus(api, 'dragonflydb.io')
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
  elapsed: () => performance.now(),
  sleep: async () => {
    await delay(1)
  },
}

const isHibernated = (annotations: Record<string, string> = {}) => annotations['cnpg.io/hibernation'] === 'on'

class Killed extends Error {}

/** Somebody who is killed: at a write to the API (before it, or after it and before the answer), or behind a line of the journal. */
interface Mortal {
  api: KubernetesApi
  /** how many lines the journal had when it happened; undefined while he lives */
  journaled: number | undefined
}

/** Nothing that is written to the journal after the kill counts. */
function mortal(random: (below: number) => number, journal: Journal, within: number): Mortal {
  const write = random(3)
  let left = 1 + random(within)
  const mortal: Mortal = { api, journaled: undefined }
  const die = () => {
    mortal.journaled ??= journal.records.length
    throw new Killed()
  }
  const append = Journal.prototype.append.bind(journal)
  journal.append = (entry) => {
    append(entry)
    if (mortal.journaled !== undefined || (write === 0 && --left === 0)) die()
  }
  const dying = new Set(['mergePatch', 'jsonPatch', 'create', 'replace', 'remove'])
  mortal.api = new Proxy(api, {
    get(target, name) {
      const value = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!dying.has(String(name))) return value.bind(target)
      return async (...args: unknown[]) => {
        if (mortal.journaled !== undefined) return die()
        if (write === 0 || --left > 0) return value.apply(target, args)
        mortal.journaled = journal.records.length
        if (write === 1) await value.apply(target, args)
        return die()
      }
    },
  })
  return mortal
}

/** Runs it, killing it at random and starting it again on the journal that the kill left, until it comes through. */
async function runMortal(
  random: (below: number) => number,
  settings: Record<string, string>,
  journal: Journal,
  body: (migration: Migration, api: KubernetesApi) => Promise<void>,
): Promise<number> {
  for (let kills = 0; kills < 60; kills++) {
    const somebody = mortal(random, journal, 8 + 6 * kills)
    const { migration } = testMigration(settings, { journal, clock: hasty })
    try {
      await body(migration, somebody.api)
      return kills
    } catch (error) {
      if (somebody.journaled === undefined) throw error
      // What the dead process would not have written any more.
      journal.records.length = somebody.journaled
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
  applicationsets: `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applicationsets`,
  gitrepositories: `/apis/source.toolkit.fluxcd.io/v1/namespaces/${namespace}/gitrepositories`,
  helmreleases: `/apis/helm.toolkit.fluxcd.io/v2/namespaces/${namespace}/helmreleases`,
  prometheuses: `/apis/monitoring.coreos.com/v1/namespaces/${namespace}/prometheuses`,
  clusters: `/apis/postgresql.cnpg.io/v1/namespaces/${namespace}/clusters`,
  rabbitmqclusters: `/apis/rabbitmq.com/v1/namespaces/${namespace}/rabbitmqclusters`,
  scaledobjects: `/apis/keda.sh/v1/namespaces/${namespace}/scaledobjects`,
  dragonflies: `/apis/dragonflydb.io/v1/namespaces/${namespace}/dragonflies`,
  strimzipodsets: `/apis/core.strimzi.io/v1/namespaces/${namespace}/strimzipodsets`,
  autoscalers: `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`,
})

const policies = [
  undefined,
  {},
  { automated: {} },
  { automated: { prune: true, selfHeal: true }, syncOptions: ['A=b'] },
  { automated: { enabled: false } },
]
const suspends = [{}, { suspend: false }, { suspend: true }]

const setPolicies = [undefined, {}, { applicationsSync: 'create-only' }, { preserveResourcesOnDeletion: true }]
const hibernations = [undefined, {}, { 'cnpg.io/hibernation': 'on' }, { 'cnpg.io/hibernation': 'off' }, { other: 'x' }]
const pauses = [undefined, { other: 'x' }, { 'rabbitmq.com/pauseReconciliation': 'true' }]
const scalers = [undefined, { other: 'x' }, { 'autoscaling.keda.sh/paused-replicas': '2' }]
const podSets = [undefined, {}, { pods: [] }, { pods: [{ metadata: { name: 'broker-0' }, spec: { subdomain: 'x' } }] }]
/** What people write on whatever they like, some of it much like what we write. */
const notes = [
  undefined,
  { 'example.com/note': ' "quoted",\n\tü ' },
  { 'example.com/empty': '', 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{"replicas":7}}' },
  { 'reconcile.fluxcd.io/requestedAt': '2025-12-04', 'argocd.argoproj.io/refresh': 'normal' },
]
const labels = { app: 'x' }
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }

/** A cluster as nobody planned it: every switch in every position, absent ones included. */
async function randomCluster(random: (below: number) => number, namespace: string, node: string) {
  await api.create('/api/v1/namespaces', { metadata: { name: namespace } })
  const spec = random(2) ? { unschedulable: true } : {}
  await api.create('/api/v1/nodes', { metadata: { name: node, annotations: notes[random(notes.length)] }, spec })
  for (let index = 0; index < 4; index++) await randomObjects(random, namespace, `n${index}`)
  await operatorOf(namespace)
}

/** One of each kind, with switches at random. */
async function randomObjects(random: (below: number) => number, namespace: string, name: string) {
  const at = paths(namespace)
  const pick = <T>(options: readonly T[]) => options[random(options.length)]
  const plain = (path: string, spec: unknown) =>
    api.create(path, { metadata: { name, annotations: pick(notes) }, spec })
  const custom = (path: string, kind: string, spec: unknown, metadata: object = {}) => {
    const [, , group, version] = path.split('/')
    const body = { apiVersion: `${group}/${version}`, kind, metadata: { name, annotations: pick(notes), ...metadata } }
    return api.create<KubernetesObject>(path, spec === undefined ? body : { ...body, spec })
  }
  const scaled = { replicas: random(4), selector: { matchLabels: labels }, template }
  await plain(at.deployments, scaled)
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name }
  const bounds = { minReplicas: 1 + random(3), maxReplicas: 5 }
  if (random(2)) await plain(at.autoscalers, { scaleTargetRef, ...bounds })
  else await custom(at.scaledobjects, 'ScaledObject', { scaleTargetRef }, { annotations: pick(scalers) })
  const dragonfly = await custom(at.dragonflies, 'Dragonfly', random(2) ? undefined : { replicas: 1 })
  const owner = {
    apiVersion: dragonfly.apiVersion,
    kind: 'Dragonfly',
    name,
    uid: dragonfly.metadata.uid,
    controller: true,
  }
  const owned = random(2) ? { ownerReferences: [owner] } : {}
  const annotations = pick(notes)
  await api.create(at.statefulsets, {
    metadata: { name, annotations, ...owned },
    spec: { ...scaled, serviceName: name },
  })
  const job = { spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } } } }
  await plain(at.cronjobs, { schedule: '0 4 * * *', jobTemplate: job, ...pick(suspends) })
  const source = { interval: '1m', prune: true, path: './', sourceRef: { kind: 'GitRepository', name: 'x' } }
  await custom(at.kustomizations, 'Kustomization', { ...source, ...pick(suspends) })
  await custom(at.helmreleases, 'HelmRelease', { interval: '1m', ...pick(suspends) })
  await custom(at.gitrepositories, 'GitRepository', {
    interval: '1m',
    url: 'ssh://git@example.invalid/x',
    ...pick(suspends),
  })
  const syncPolicy = pick(policies)
  await custom(at.applications, 'Application', { project: 'p', destination: {}, ...(syncPolicy ? { syncPolicy } : {}) })
  const applied = { generators: [], template: { metadata: { name: 'x' }, spec: { project: 'p', destination: {} } } }
  const setPolicy = pick(setPolicies)
  await custom(at.applicationsets, 'ApplicationSet', { ...applied, ...(setPolicy ? { syncPolicy: setPolicy } : {}) })
  await custom(at.prometheuses, 'Prometheus', { replicas: 1, ...(random(3) ? {} : { paused: random(2) === 0 }) })
  await custom(at.clusters, 'Cluster', random(2) ? undefined : { instances: 3 }, { annotations: pick(hibernations) })
  await custom(at.rabbitmqclusters, 'RabbitmqCluster', undefined, { labels: pick(pauses) })
  await custom(at.strimzipodsets, 'StrimziPodSet', pick(podSets))
}

/** Whoever runs under this account may be taken for the operator of a group. */
async function letWriteStatus(to: KubernetesApi, group: string): Promise<void> {
  await to.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'operator' },
    rules: [{ apiGroups: [group], resources: ['*'], verbs: ['*'] }],
  })
}

async function operatorOf(namespace: string): Promise<void> {
  await api.create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
    metadata: { name: 'operator' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'operator' },
    subjects: [{ kind: 'ServiceAccount', namespace, name: 'operator' }],
  })
  const spec = { ...template.spec, serviceAccountName: 'operator' }
  await api.create(paths(namespace).deployments, {
    metadata: { name: 'operator' },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { ...template, spec } },
  })
}

/** All that a person could have written, to the byte. */
async function everything(namespace: string, node: string): Promise<string[]> {
  const lists = await Promise.all(Object.values(paths(namespace)).map((path) => api.list(path)))
  const objects = lists
    .flat()
    .map(({ kind, spec, metadata: { name, annotations, labels } }) =>
      JSON.stringify([kind, name, annotations, labels, spec]),
    )
  const { spec, metadata } = await api.get(`/api/v1/nodes/${node}`)
  return [...objects, JSON.stringify([metadata.annotations, spec])]
}

async function drainSteps(migration: Migration, mortalApi: KubernetesApi, node: string): Promise<void> {
  const { settings } = migration
  await suspendFlux(migration, mortalApi)
  await suspendArgoCd(migration, mortalApi)
  const deaf = await pauseOperators(migration, mortalApi, await findOperated(mortalApi))
  const strangers = await findStrangers(mortalApi, await findStateful(mortalApi, settings), deaf)
  await stopStrangers(migration, mortalApi, strangers)
  await suspendCronJobs(migration, mortalApi, await findCronJobs(mortalApi, settings))
  await quietWorkloads(migration, mortalApi, await findStateful(mortalApi, settings))
  await cordon(migration, mortalApi, node)
  await staysQuiet(migration, mortalApi, async () => [
    ...(await pauseAgain(migration, mortalApi)),
    ...(await scaleDownAgain(migration, mortalApi)),
  ])
}

async function resumeSteps(migration: Migration, mortalApi: KubernetesApi): Promise<void> {
  await uncordon(migration, mortalApi)
  await scaleBack(migration, mortalApi)
  await resumeCronJobs(migration, mortalApi)
  await resumeOperators(migration, mortalApi)
  await resumeArgoCd(migration, mortalApi)
  await resumeFlux(migration, mortalApi)
}

for (let round = 1; round <= rounds; round++) {
  test.serial(`killed at any write, drain and resume leave every switch as it was (seed ${round})`, async (t) => {
    const random = randomOf(round)
    const namespace = `killed-${round}`
    const node = `node-${round}`
    await randomCluster(random, namespace, node)
    const before = await everything(namespace, node)
    const journal = Journal.inMemory(null, hasty.now)

    const settings = {
      STATEFUL_NAMESPACES: namespace,
      LOCAL_STORAGE_CLASSES: 'none',
      NFS_STORAGE_CLASSES: 'none',
      QUIET_ORDER: ['', '*/n1, *', `${namespace}/n3, */n0`][random(3)] ?? '',
    }
    const drainKills = await runMortal(random, settings, journal, (migration, mortalApi) =>
      drainSteps(migration, mortalApi, node),
    )
    const replicas = (await listScalable(api)).filter((each) => each.namespace === namespace)
    t.true(replicas.every((each) => each.replicas === 0))
    t.true((await api.list(paths(namespace).clusters)).every(({ metadata }) => isHibernated(metadata.annotations)))

    const resumeKills = await runMortal(random, settings, journal, resumeSteps)
    t.deepEqual(await everything(namespace, node), before)
    t.log(`seed ${round}: ${before.length} objects, ${drainKills} kills while draining, ${resumeKills} while resuming`)
    for (const path of Object.values(paths(namespace)))
      for (const { metadata } of await api.list(path)) await api.remove(`${path}/${metadata.name}`)
  })
}
