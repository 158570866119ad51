import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { drain } from '../../lib/kubernetes/drain.ts'
import { drainOptions, nodesToDrain } from '../../lib/kubernetes/drain-options.ts'
import { type DrainOutlook, lookAhead } from '../../lib/kubernetes/drain-outlook.ts'
import type { Pod, PodDisruptionBudget } from '../../lib/kubernetes/kinds.ts'
import { cordon } from '../../lib/kubernetes/nodes.ts'
import { isReady, listPods } from '../../lib/kubernetes/pods.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import type { Flags } from '../../lib/migration/migration.ts'
import { until } from './bare-cluster.ts'
import { testMigration } from './test-migration.ts'

/** What came of a drain: whether it says that it is done, what it said, and whose pods are still on the node, by their label app. */
export interface Drained {
  readonly done: boolean
  readonly said: string
  readonly left: readonly string[]
}

/** One node of a bare cluster with workloads that run on it alone: where a drain is tried. */
export class DrainGround {
  readonly api: KubernetesApi
  readonly node: string
  readonly namespace: string
  /** other nodes on which its workloads may run too */
  readonly #otherHomes: readonly string[]

  private constructor(api: KubernetesApi, name: string, otherHomes: readonly string[]) {
    this.api = api
    this.node = name
    this.namespace = `on-${name}`
    this.#otherHomes = otherHomes
  }

  /** Makes the node and a namespace for what runs on it. */
  static async make(api: KubernetesApi, name: string, otherHomes: readonly string[] = []): Promise<DrainGround> {
    const ground = new DrainGround(api, name, otherHomes)
    await makeNode(api, name)
    await api.create('/api/v1/namespaces', { metadata: { name: ground.namespace } })
    return ground
  }

  /** A pod's spec that runs here; its image is never pulled. */
  spec(more: Record<string, unknown> = {}) {
    const values = [this.node, ...this.#otherHomes]
    const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values }] }]
    return {
      containers: [{ name: 'c', image: 'i' }],
      terminationGracePeriodSeconds: 1,
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
      ...more,
    }
  }

  template(app: string, spec: Record<string, unknown> = {}, labels: Record<string, string> = {}) {
    return { metadata: { labels: { app, ...labels } }, spec: this.spec(spec) }
  }

  /** A Deployment, StatefulSet, ReplicaSet or DaemonSet. */
  async workload(
    kind: 'Deployment' | 'StatefulSet' | 'ReplicaSet' | 'DaemonSet',
    app: string,
    replicas: number,
    pod: { spec?: Record<string, unknown>; labels?: Record<string, string> } = {},
  ): Promise<void> {
    const template = this.template(app, pod.spec, pod.labels)
    const spec = {
      selector: { matchLabels: { app } },
      template,
      ...(kind === 'DaemonSet' ? {} : { replicas }),
      ...(kind === 'StatefulSet' ? { serviceName: app, podManagementPolicy: 'Parallel' } : {}),
    }
    await this.api.create(`/apis/apps/v1/namespaces/${this.namespace}/${kind.toLowerCase()}s`, {
      metadata: { name: app },
      spec,
    })
  }

  async pod(app: string, more: { metadata?: Record<string, unknown>; spec?: Record<string, unknown> } = {}) {
    const { labels = {}, ...metadata } = (more.metadata ?? {}) as { labels?: Record<string, string> }
    await this.api.create(`/api/v1/namespaces/${this.namespace}/pods`, {
      metadata: { name: app, labels: { app, ...labels }, ...metadata },
      spec: this.spec({ nodeName: this.node, ...more.spec }),
    })
  }

  /** A PodDisruptionBudget, once the disruption controller has computed it. */
  async budget(name: string, app: string, spec: Record<string, unknown>): Promise<void> {
    const collection = `/apis/policy/v1/namespaces/${this.namespace}/poddisruptionbudgets`
    await this.api.create(collection, { metadata: { name }, spec: { selector: { matchLabels: { app } }, ...spec } })
    const ready = (await this.pods()).filter((pod) => pod.metadata.labels?.app === app && isReady(pod)).length
    await until(`the disruption controller has seen ${name}`, async () => {
      const { metadata, status } = await this.api.get<PodDisruptionBudget>(`${collection}/${name}`)
      return status?.observedGeneration === metadata.generation && status?.currentHealthy === ready
    })
  }

  /** Waits until so many pods of the namespace run (or have finished). */
  async running(count: number): Promise<void> {
    await until(`${count} pods run in ${this.namespace}`, async () => {
      return (await this.pods()).filter((pod) => pod.status.phase !== 'Pending').length === count
    })
  }

  /** Every object of the namespace by its UID, with its resourceVersion, once the controllers have written all they have to. */
  async settled(): Promise<string[]> {
    let before: string[] = []
    await until(`nobody writes in ${this.namespace}`, async () => {
      await delay(500)
      const now = await this.versions()
      const same = now.join() === before.join()
      before = now
      return same
    })
    return before
  }

  async versions(): Promise<string[]> {
    const namespaced = ['/api/v1/pods', '/apis/policy/v1/poddisruptionbudgets']
    const apps = ['deployments', 'statefulsets', 'replicasets', 'daemonsets'].map((kind) => `/apis/apps/v1/${kind}`)
    const lists = await Promise.all([...namespaced, ...apps].map((path) => this.api.list(path)))
    const own = lists.flat().filter(({ metadata }) => metadata.namespace === this.namespace)
    return own.map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`).sort()
  }

  async pods(): Promise<Pod[]> {
    return (await listPods(this.api)).filter((pod) => pod.metadata.namespace === this.namespace)
  }

  async left(): Promise<string[]> {
    const here = (await this.pods()).filter((pod) => pod.spec.nodeName === this.node)
    return here.map((pod) => pod.metadata.labels?.app ?? '').sort()
  }

  async outlook(flags: Flags = {}): Promise<DrainOutlook> {
    const { migration } = testMigration()
    const settings = { ...migration.settings, deleteEmptyDirData: false }
    return lookAhead(this.api, [this.node], { ...drainOptions(flags, settings), now: new Date() })
  }

  /** Drains it as scripts/drain.ts does, without quieting anything before. */
  async ours(flags: Flags = {}): Promise<Drained> {
    const { migration, lines } = testMigration({ NODE_NAME: this.node, EMPTYDIR_DATA: 'keep' })
    const outcome = await this.#drain(migration, flags).catch((error: unknown) => {
      if (error instanceof OperatorError) return error
      throw error
    })
    const error = outcome instanceof OperatorError ? [outcome.what, outcome.means, outcome.next] : []
    return { done: error.length === 0, said: [...lines, ...error].join('\n'), left: await this.left() }
  }

  async #drain(migration: ReturnType<typeof testMigration>['migration'], flags: Flags): Promise<void> {
    const options = drainOptions(flags, migration.settings)
    const nodes = await nodesToDrain(this.api, flags, migration.settings)
    for (const node of nodes) await cordon(migration, this.api, node)
    const outlook = await lookAhead(this.api, nodes, { ...options, now: new Date() })
    await drain(migration, this.api, outlook, options)
  }

  /** Drains it with the kubectl of PATH; null where there is none. */
  async kubectls(kubeconfig: string, flags: Flags = {}): Promise<Drained | null> {
    const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    const which = flags.selector === undefined ? [this.node] : []
    const args = ['drain', ...which, '--ignore-daemonsets', ...given, '--kubeconfig', kubeconfig]
    const ran = await run('kubectl', args)
    return ran && { ...ran, left: await this.left() }
  }
}

/** A Node with room for 110 pods, which kwok plays. */
export async function makeNode(api: KubernetesApi, name: string, labels: Record<string, string> = {}): Promise<void> {
  const room = { cpu: '16', memory: '64Gi', pods: '110' }
  await api.create('/api/v1/nodes', {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    status: { capacity: room, allocatable: room },
  })
  await until(`Node ${name} is ready`, async () => {
    const { status } = await api.get<{ status?: { conditions?: { type: string; status: string }[] } }>(
      `/api/v1/nodes/${name}`,
    )
    return status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false
  })
}

function run(program: string, args: string[]): Promise<{ done: boolean; said: string } | null> {
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout, stderr) => {
      if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT') resolve(null)
      else resolve({ done: error === null, said: stdout + stderr })
    })
  })
}
