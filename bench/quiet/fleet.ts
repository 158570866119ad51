import pMap from 'p-map'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { readReadiness } from '../../lib/kubernetes/readiness.ts'
import { listScalable } from '../../lib/kubernetes/workloads.ts'
import { until } from '../../test/kubernetes/bare-cluster.ts'

const concurrency = 8
const patienceSeconds = 900

/** Many small workloads, each with one pod: three of four are Deployments, the fourth is a StatefulSet. */
export class Fleet {
  readonly namespaces: readonly string[]
  readonly #api: KubernetesApi
  readonly #paths: readonly { collection: string; name: string }[]

  constructor(api: KubernetesApi, workloads: number, namespaces: number) {
    this.#api = api
    this.namespaces = Array.from({ length: namespaces }, (_, index) => `fleet-${index}`)
    this.#paths = Array.from({ length: workloads }, (_, index) => ({
      collection: `/apis/apps/v1/namespaces/fleet-${index % namespaces}/${index % 4 === 3 ? 'statefulsets' : 'deployments'}`,
      name: `workload-${index}`,
    }))
  }

  async start(): Promise<void> {
    const room = { cpu: '1000', memory: '1000Gi', pods: String(this.#paths.length * 3) }
    await this.#api.create('/api/v1/nodes', {
      metadata: { name: 'node' },
      status: { allocatable: room, capacity: room },
    })
    await pMap(this.namespaces, (name) => this.#api.create('/api/v1/namespaces', { metadata: { name } }), {
      concurrency,
    })
    await pMap(this.#paths, ({ collection, name }) => this.#api.create(collection, workload(name, collection)), {
      concurrency,
    })
    await this.isReady()
  }

  async patchAll(replicas: number): Promise<void> {
    const patch = { spec: { replicas } }
    await pMap(this.#paths, ({ collection, name }) => this.#api.mergePatch(`${collection}/${name}`, patch), {
      concurrency,
    })
  }

  async isReady(): Promise<void> {
    const allReady = async () => {
      const all = await readReadiness(this.#api)
      return all.every(({ observed, wanted, ready }) => observed && ready >= wanted)
    }
    await until('all workloads are ready', allReady, patienceSeconds)
  }

  async hasPods(count: number): Promise<void> {
    const counted = async () => (await this.#api.list('/api/v1/pods')).length === count
    await until(`there are ${count} pods`, counted, patienceSeconds)
  }

  /** of all workloads together */
  async replicas(): Promise<number> {
    return (await listScalable(this.#api)).reduce((sum, { replicas }) => sum + replicas, 0)
  }

  /** Every spec, annotation and label, as one text. */
  async written(): Promise<string> {
    const objects = (await listScalable(this.#api)).map(({ path, object }) => {
      const { annotations, labels } = object.metadata
      return JSON.stringify([path, annotations, labels, object.spec])
    })
    return objects.sort().join('\n')
  }

  /** Requests that API priority and fairness has turned away, since the API server began. */
  async rejected(): Promise<number> {
    const metrics = (await this.#api.raw('/metrics')).toString('utf8')
    const counts = [...metrics.matchAll(/^apiserver_flowcontrol_rejected_requests_total\{.*\} (\d+)$/gm)]
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }
}

function workload(name: string, collection: string) {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const spec = { replicas: 1, selector: { matchLabels: labels }, template }
  return { metadata: { name }, spec: collection.endsWith('statefulsets') ? { ...spec, serviceName: name } : spec }
}
