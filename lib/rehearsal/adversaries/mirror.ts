import { ApiError, KubernetesApi, type KubernetesObject, type WatchEvent } from '../../kubernetes/api.ts'
import type { Clock } from '../../migration/clock.ts'
import { nameOf } from '../homelab/resources.ts'

export interface Collection {
  apiVersion: string
  kind: string
  path: string
  /** after so many seconds it is listed anew, whatever the watch says */
  watchSeconds: number
}

const retryMs = 250

/**
 * Follows collections as an informer does: list, watch, and list anew after every interruption. It never resumes a watch
 * from an old resourceVersion, because revisions go backwards when etcd is recovered from a snapshot.
 * The kubeconfig is read again for every new connection, because a migration may write another server into it.
 */
export class Mirror {
  #kubeconfigPath: string
  #clock: Clock
  #onChange: () => void
  #api: Promise<KubernetesApi> | undefined
  #objects = new Map<string, KubernetesObject>()
  #inStep = new Set<string>()

  constructor(kubeconfigPath: string, options: { clock: Clock; onChange: () => void }) {
    this.#kubeconfigPath = kubeconfigPath
    this.#clock = options.clock
    this.#onChange = options.onChange
  }

  /** Follows the collections until the signal aborts. */
  async follow(collections: Collection[], signal: AbortSignal): Promise<void> {
    await Promise.all(collections.map((collection) => this.#followOne(collection, signal)))
    await this.disconnect()
  }

  /** The object as it was last seen, by its name as `nameOf` makes it. */
  get(name: string): KubernetesObject | undefined {
    return this.#objects.get(name)
  }

  /** Whether what is known of this kind is what the API server has, and not what it had before it went away. */
  knows(kind: string): boolean {
    return this.#inStep.has(kind)
  }

  /** Takes an answer of the API server at once, without waiting for the watch to tell the same. */
  learn(object: KubernetesObject): void {
    this.#objects.set(nameOf(object), object)
  }

  /** For everything but watching. */
  async api(): Promise<KubernetesApi> {
    this.#api ??= KubernetesApi.fromFile(this.#kubeconfigPath)
    return this.#api
  }

  async disconnect(): Promise<void> {
    const api = await this.#api?.catch(() => undefined)
    this.#api = undefined
    api?.close()
  }

  async #followOne(collection: Collection, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Of its own, for there are more kinds to watch than one client has connections.
      const api = await KubernetesApi.fromFile(this.#kubeconfigPath).catch(() => undefined)
      try {
        if (api) for (;;) await this.#listAndWatch(api, collection, signal)
      } catch (error) {
        this.#inStep.delete(collection.kind)
        // A kind that is not defined yet says nothing against the server.
        if (!(error instanceof ApiError && error.status === 404)) await this.disconnect()
      } finally {
        api?.close()
      }
      await this.#clock.sleep(retryMs, signal)
    }
  }

  async #listAndWatch(
    api: KubernetesApi,
    { apiVersion, kind, path, watchSeconds }: Collection,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    const list = await api.get<{ metadata: { resourceVersion: string }; items: KubernetesObject[] }>(path)
    for (const [name, object] of this.#objects) if (object.kind === kind) this.#objects.delete(name)
    for (const item of list.items) this.learn({ ...item, apiVersion, kind })
    this.#inStep.add(kind)
    this.#onChange()
    const query = { resourceVersion: list.metadata.resourceVersion, timeoutSeconds: watchSeconds }
    const deadline = AbortSignal.timeout((watchSeconds + 2) * 1000)
    await api.watch(path, query, (event) => this.#take(event), AbortSignal.any([signal, deadline]))
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'ERROR') throw new Error(`the watch ended: ${JSON.stringify(object)}`)
    if (type === 'DELETED') this.#objects.delete(nameOf(object))
    if (type === 'ADDED' || type === 'MODIFIED') this.learn(object)
    this.#onChange()
  }
}
