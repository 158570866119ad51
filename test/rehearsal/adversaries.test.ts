import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { type Adversaries, startAdversaries } from '../../lib/rehearsal/adversaries.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { PracticeCluster } from '../../lib/rehearsal/practice-cluster.ts'

const silent = { info: () => {}, warn: () => {}, detail: () => {} }
const flux = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations'
const helm = (namespace: string) => `/apis/helm.toolkit.fluxcd.io/v2/namespaces/${namespace}/helmreleases`
const argo = '/apis/argoproj.io/v1alpha1/namespaces/argocd'
const apps = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}`
const monitors = '/apis/monitoring.coreos.com/v1/namespaces/monitoring'

let cluster: PracticeCluster
let api: KubernetesApi
let adversaries: Adversaries

test.before(async () => {
  cluster = await PracticeCluster.create({ binaries: await ensureBinaries({ progress: silent }), canary: 'canary-adv' })
  await cluster.start()
  api = await cluster.api()
})

test.after.always(async () => {
  await adversaries?.stop()
  api?.close()
  await cluster?.destroy()
})

async function until(condition: string, probe: () => Promise<boolean>, seconds = 15): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`)
    await delay(50)
  }
}

async function specOf<T>(path: string): Promise<T> {
  return (await api.get(path)).spec as T
}

async function replicasOf(path: string): Promise<number | undefined> {
  return (await specOf<{ replicas?: number }>(path)).replicas
}

const scale = (path: string, replicas: number) => api.mergePatch(path, { spec: { replicas } })
const suspend = (path: string) => api.mergePatch(path, { spec: { suspend: true } })

async function comesBack(path: string, replicas: number, seconds?: number): Promise<void> {
  await scale(path, 0)
  await until(`${path} is back`, async () => (await replicasOf(path)) === replicas, seconds)
}

/** The adversaries have seen all that was done to Deployments before: one that nobody suspended has come back since. */
async function adversariesHaveLooked(): Promise<void> {
  await comesBack(`${apps('registry')}/deployments/registry`, 1)
}

test.serial('a populated cluster runs: claims are bound, pods run, the local volumes hold files', async (t) => {
  const claims = await api.list('/api/v1/persistentvolumeclaims')
  t.true(claims.every(({ status }) => (status as { phase: string }).phase === 'Bound'))
  const pods = await api.list('/api/v1/pods')
  const phases = new Set(pods.map(({ status }) => (status as { phase: string }).phase))
  t.deepEqual([...phases].sort(), ['Running', 'Succeeded'])
  t.true(pods.length > 80 && pods.length < 110, `${pods.length} pods`)
  const folders = await readdir(join(cluster.old.disk, 'EPHEMERAL/local-path-provisioner'))
  t.is(folders.length, 15)
  const entry = await api.get('/api/v1/namespaces/traefik/services/traefik-entry')
  t.like(entry.status, { loadBalancer: { ingress: [{ ip: '192.0.2.240', ipMode: 'VIP' }] } })
})

test.serial('a populated cluster is as a person left it, and every Secret holds the canary', async (t) => {
  t.is(await replicasOf(`${apps('hybrid-llm')}/deployments/litellm`), 1)
  t.is(await replicasOf(`${apps('sandbox')}/deployments/podinfo`), 0)
  t.true((await specOf<{ suspend: boolean }>(`${helm('sandbox')}/podinfo`)).suspend)
  const { data } = await api.get<KubernetesObject & { data: Record<string, string> }>(
    '/api/v1/namespaces/media/secrets/plex',
  )
  t.regex(Buffer.from(data['claim-token'] ?? '', 'base64').toString(), /canary-adv/)
})

test.serial('the adversaries put nothing back in a cluster that is as Git says', async (t) => {
  adversaries = startAdversaries(cluster.homelab.kubeconfig)
  await adversaries.ready
  await adversariesHaveLooked()
  const others = adversaries.actions.filter(({ did, object }) => did === 'put back' && !object.endsWith('/registry'))
  t.deepEqual(others, [])
})

const owned = [
  ['a Kustomization', `${apps('observability')}/deployments/jaeger`, 1],
  ['a HelmRelease', `${apps('observability')}/statefulsets/opensearch`, 3],
  ['an Application', `${apps('observability')}/deployments/opensearch-dashboards`, 2],
  ['an Application of an ApplicationSet', `${apps('media')}/deployments/plex`, 1],
  ['a Prometheus', `${apps('monitoring')}/statefulsets/prometheus-kube-prometheus-stack`, 1],
] as const

for (const [owner, path, replicas] of owned) {
  test.serial(`what ${owner} owns comes back when it is scaled down`, async (t) => {
    await t.notThrowsAsync(comesBack(path, replicas))
  })
}

test.serial('what was edited or deleted comes back too', async (t) => {
  const settings = '/api/v1/namespaces/observability/configmaps/otel-collector'
  await api.mergePatch(settings, { data: { 'config.yaml': 'edited' } })
  await until('the edit is gone', async () => {
    const { data } = await api.get<KubernetesObject & { data: Record<string, string> }>(settings)
    return data['config.yaml'] !== 'edited'
  })
  const jaeger = `${apps('observability')}/deployments/jaeger`
  const { metadata } = await api.get(jaeger)
  await api.remove(jaeger)
  await until('it was made again', async () => (await api.get(jaeger)).metadata.uid !== metadata.uid)
  t.pass()
})

test.serial(
  'a parent un-suspends its children, and an app of apps and an ApplicationSet automate theirs',
  async (t) => {
    const isResumed = (path: string) => async () => (await specOf<{ suspend?: boolean }>(path)).suspend !== true
    const isAutomated = (path: string) => async () => {
      const { syncPolicy } = await specOf<{ syncPolicy?: { automated?: { enabled?: boolean } } }>(path)
      return syncPolicy?.automated !== undefined && syncPolicy.automated.enabled !== false
    }
    await suspend(`${flux}/observability`)
    await until('the Kustomization is resumed', isResumed(`${flux}/observability`))
    await suspend(`${helm('observability')}/opensearch`)
    await until('the HelmRelease is resumed', isResumed(`${helm('observability')}/opensearch`))
    await api.mergePatch(`${argo}/applications/downloads`, { spec: { syncPolicy: { automated: null } } })
    await until('the Application is automated', isAutomated(`${argo}/applications/downloads`))
    await api.mergePatch(`${argo}/applications/plex`, { spec: { syncPolicy: { automated: { enabled: false } } } })
    await until('the generated Application is automated', isAutomated(`${argo}/applications/plex`))
    t.pass()
  },
)

test.serial(
  'what nobody heals stays as it was left: synced by hand, without self-heal, suspended in Git',
  async (t) => {
    const left = [
      `${apps('hybrid-llm')}/deployments/open-webui`,
      `${apps('auth')}/deployments/authentik-worker`,
      `${apps('sandbox')}/deployments/whoami`,
    ]
    for (const path of left) await scale(path, 0)
    await adversariesHaveLooked()
    for (const path of left) t.is(await replicasOf(path), 0, path)
  },
)

test.serial('a request to reconcile is answered, and one to a suspended Kustomization is not', async (t) => {
  const annotations = { 'reconcile.fluxcd.io/requestedAt': new Date().toISOString() }
  const handled = async (path: string) => {
    const { status } = await api.get<KubernetesObject & { status: { lastHandledReconcileAt?: string } }>(path)
    return status.lastHandledReconcileAt
  }
  await api.mergePatch(`${flux}/sandbox`, { metadata: { annotations } })
  for (const path of [`${flux}/monitoring`, `${helm('monitoring')}/loki`]) {
    await api.mergePatch(path, { metadata: { annotations } })
    await until(
      `${path} answered`,
      async () => (await handled(path)) === annotations['reconcile.fluxcd.io/requestedAt'],
    )
  }
  t.is(await handled(`${flux}/sandbox`), undefined)
})

test.serial('a refresh of an Application is answered, and what is out of sync says so', async (t) => {
  const path = `${argo}/applications/hybrid-llm`
  await api.mergePatch(path, { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'normal' } } })
  await until('the refresh was answered', async () => {
    return (await api.get(path)).metadata.annotations?.['argocd.argoproj.io/refresh'] === undefined
  })
  const { status } = await api.get<KubernetesObject & { status: { sync: { status: string } } }>(path)
  t.is(status.sync.status, 'OutOfSync')
})

test.serial('what is suspended from the top downwards stays down', async (t) => {
  await suspend(`${flux}/flux-system`)
  for (const name of ['argocd', 'monitoring', 'observability']) await suspend(`${flux}/${name}`)
  for (const [namespace, name] of [['observability', 'opensearch']] as const)
    await suspend(`${helm(namespace)}/${name}`)
  await api.mergePatch(`${argo}/applications/root`, { spec: { syncPolicy: { automated: { enabled: false } } } })
  await api.mergePatch(`${argo}/applicationsets/media`, { spec: { syncPolicy: { applicationsSync: 'create-only' } } })
  for (const name of ['plex', 'opensearch-dashboards']) {
    await api.mergePatch(`${argo}/applications/${name}`, { spec: { syncPolicy: { automated: { enabled: false } } } })
  }
  await api.mergePatch(`${monitors}/prometheuses/kube-prometheus-stack`, { spec: { paused: true } })
  await adversariesHaveLooked()
  for (const [, path] of owned) await scale(path, 0)
  await adversariesHaveLooked()
  await comesBack(`${apps('databases')}/statefulsets/redis`, 1)
  for (const [owner, path] of owned) t.is(await replicasOf(path), 0, owner)
})

test.serial(
  'they go on after etcd was recovered from a snapshot, with revisions that are older than theirs',
  async (t) => {
    const snapshot = join(cluster.folder, 'etcd.snapshot')
    await cluster.talosctlOnNode('etcd', 'snapshot', snapshot)
    const settings = '/api/v1/namespaces/default/configmaps/where-is-what'
    for (let edit = 0; edit < 50; edit++) await api.mergePatch(settings, { data: { edit: String(edit) } })
    const { resourceVersion = '' } = (await api.get(settings)).metadata
    await recover(snapshot)
    t.true(Number((await api.get(settings)).metadata.resourceVersion) < Number(resourceVersion))
    await t.notThrowsAsync(adversariesHaveLooked())
    for (const [owner, path] of owned) t.is(await replicasOf(path), 0, owner)
  },
)

async function recover(snapshot: string): Promise<void> {
  await cluster.old.cutPower()
  cluster.old.wipeDisk()
  const times = (event: string) => cluster.old.timeline.filter((each) => each.event === event).length
  const before = { maintenance: times('maintenance-ready'), booted: times('booted') }
  cluster.old.powerOn()
  await until('maintenance mode', async () => times('maintenance-ready') > before.maintenance, 60)
  const { controlplaneConfig } = cluster.homelab
  await cluster.talosctl('apply-config', '--insecure', '--nodes', cluster.address, '--file', controlplaneConfig)
  await until('booted', async () => times('booted') > before.booted, 60)
  await cluster.talosctlOnNode('bootstrap', `--recover-from=${snapshot}`)
  await until('the API answers', async () => (await api.raw('/readyz')).toString() === 'ok', 60)
}

test.serial('they run as a process of their own, which says what it does and ends on SIGTERM', async (t) => {
  await adversaries.stop()
  const child = spawn(process.execPath, ['--import=tsx', 'lib/rehearsal/adversaries.ts', cluster.homelab.kubeconfig], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const said: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line))
  await comesBack(`${apps('registry')}/deployments/registry`, 1, 60)
  await until('it has said so', async () => said.some((line) => line.includes('Deployment registry/registry')))
  child.kill('SIGTERM')
  t.deepEqual(await exited, [0, null])
})
