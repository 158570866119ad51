import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { ApiError, ConnectionError, NoAnswer } from './api-error.ts'
import { kubeconfigText, parseKubeconfig, serverOf } from './kubeconfig.ts'

export { ApiError, ConnectionError } from './api-error.ts'

export interface ObjectMetadata {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[]
  [field: string]: unknown
}

/** Any object of the API, known only by what all objects have. */
export interface KubernetesObject {
  apiVersion?: string
  kind?: string
  metadata: ObjectMetadata
  [field: string]: unknown
}

export type Query = Record<string, string | number | boolean | undefined>
export type WatchEvent = { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'; object: KubernetesObject }
export type JsonPatchOperation = { op: 'add' | 'remove' | 'replace' | 'test'; path: string; value?: unknown }

interface Exchange {
  query?: Query
  body?: unknown
  contentType?: string
  accept?: string
  timeoutMs?: number
  signal?: AbortSignal
}

const defaultTimeoutMs = 30_000
/** An answer that comes in drops is given up, too, after so many times the silence that is borne. */
const longestInTimeouts = 20
const pageSize = 500

/**
 * The Kubernetes API as plain REST, with the credentials of a kubeconfig. Kinds that no typed client knows (Flux, Argo CD, Liqo)
 * are spoken to as any other. Every call has a deadline.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
export class KubernetesApi {
  readonly server: string
  #config: KubeConfig
  readonly #load: () => Promise<KubeConfig>
  #agent: https.Agent | undefined

  private constructor(config: KubeConfig, load: () => Promise<KubeConfig>) {
    this.server = serverOf(config)
    this.#config = config
    this.#load = load
  }

  /** @throws OperatorError when the file is missing, or is no kubeconfig */
  static async fromFile(path: string, options: { context?: string } = {}): Promise<KubernetesApi> {
    const load = async () => parseKubeconfig(await kubeconfigText(path), { ...options, origin: path })
    return new KubernetesApi(await load(), load)
  }

  /** @throws OperatorError when the text is no kubeconfig */
  static async fromString(yaml: string, options: { context?: string; origin?: string } = {}): Promise<KubernetesApi> {
    const load = () => parseKubeconfig(yaml, options)
    return new KubernetesApi(await load(), load)
  }

  async get<T = KubernetesObject>(path: string, query?: Query, options: Pick<Exchange, 'accept'> = {}): Promise<T> {
    return JSON.parse((await this.raw(path, query, options)).toString('utf8')) as T
  }

  /** As `get`, with null for 404. */
  async getOrNull<T = KubernetesObject>(path: string, query?: Query): Promise<T | null> {
    try {
      return await this.get<T>(path, query)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null
      throw error
    }
  }

  /** All items of a collection, read in pages. */
  async list<T = KubernetesObject>(path: string, query: Query = {}): Promise<T[]> {
    const items: T[] = []
    for await (const page of this.pages<T>(path, query)) items.push(...page)
    return items
  }

  /** The items of a collection page by page, for whoever needs little of each. */
  async *pages<T = KubernetesObject>(
    path: string,
    query: Query = {},
    options: Pick<Exchange, 'accept'> = {},
  ): AsyncGenerator<T[]> {
    let next: string | undefined
    do {
      const asked = { limit: pageSize, ...query, continue: next }
      // Of what was asked for as metadata alone, an empty list is null.
      const page: { items?: T[] | null; metadata?: { continue?: string } } = await this.get(path, asked, options)
      yield page.items ?? []
      next = page.metadata?.continue || undefined
    } while (next !== undefined)
  }

  /** The server's bytes, untouched. */
  async raw(
    path: string,
    query?: Query,
    options: Pick<Exchange, 'accept' | 'timeoutMs' | 'signal'> = {},
  ): Promise<Buffer> {
    return this.#exchange('GET', path, { ...options, ...(query ? { query } : {}) })
  }

  create<T = KubernetesObject>(path: string, object: unknown, query: Query = {}): Promise<T> {
    return this.#send('POST', path, { body: object, query })
  }

  replace<T = KubernetesObject>(path: string, object: unknown): Promise<T> {
    return this.#send('PUT', path, { body: object })
  }

  remove<T = KubernetesObject>(path: string, options?: unknown): Promise<T> {
    return this.#send('DELETE', path, options === undefined ? {} : { body: options })
  }

  mergePatch<T = KubernetesObject>(path: string, patch: unknown, query: Query = {}): Promise<T> {
    return this.#send('PATCH', path, { body: patch, contentType: 'application/merge-patch+json', query })
  }

  jsonPatch<T = KubernetesObject>(path: string, operations: JsonPatchOperation[]): Promise<T> {
    return this.#send('PATCH', path, { body: operations, contentType: 'application/json-patch+json' })
  }

  /** Server-side apply. Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ */
  apply<T = KubernetesObject>(path: string, object: unknown, fieldManager: string, query: Query = {}): Promise<T> {
    return this.#send('PATCH', path, {
      body: object,
      contentType: 'application/apply-patch+yaml',
      query: { ...query, fieldManager, force: true },
    })
  }

  /** Follows a collection until the signal aborts or the server ends the stream. */
  async watch(path: string, query: Query, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    const response = await this.#open('GET', path, { query: { ...query, watch: true }, signal, timeoutMs: 0 })
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const chunk of response) {
        const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.trim()) onEvent(JSON.parse(line) as WatchEvent)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  close(): void {
    this.#agent?.destroy()
    this.#agent = undefined
  }

  async #send<T>(method: string, path: string, exchange: Exchange): Promise<T> {
    return JSON.parse((await this.#exchange(method, path, exchange)).toString('utf8')) as T
  }

  async #exchange(method: string, path: string, exchange: Exchange): Promise<Buffer> {
    try {
      return await this.#wholeAnswer(method, path, exchange)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error
      if (!(await this.#renewCredentials())) throw error
      return this.#wholeAnswer(method, path, exchange)
    }
  }

  /** Credentials run out, or are exchanged: the kubeconfig is read anew, and its exec plugin asked anew. */
  async #renewCredentials(): Promise<boolean> {
    const config = await this.#load().catch(() => undefined)
    // A kubeconfig that leads to another cluster by now is none of ours.
    if (config === undefined || serverOf(config) !== this.server) return false
    this.#config = config
    return true
  }

  async #wholeAnswer(method: string, path: string, exchange: Exchange): Promise<Buffer> {
    const response = await this.#open(method, path, exchange)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer)
    } catch (error) {
      throw this.#broken(error as Error, exchange)
    }
    return Buffer.concat(chunks)
  }

  async #open(method: string, path: string, exchange: Exchange): Promise<IncomingMessage> {
    const options = await this.#options(method, exchange)
    const url = urlOf(this.server, path, exchange.query)
    return new Promise((resolve, reject) => {
      let answer: IncomingMessage | undefined
      const request = https.request(url, options, (response) => {
        answer = response
        const status = response.statusCode ?? 0
        // Whoever reads it sees the error; until then it must not be an unhandled one.
        if (status >= 200 && status < 300) return resolve(response.on('error', () => undefined))
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', (error) => reject(this.#broken(error, exchange)))
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8')
          const { date, 'retry-after': retryAfter } = response.headers
          reject(new ApiError(method, path, status, body, retryAfter, date))
        })
      })
      const timeoutMs = exchange.timeoutMs ?? defaultTimeoutMs
      if (timeoutMs > 0) {
        const giveUp = (what: string, ms: number) =>
          (answer ?? request).destroy(new NoAnswer(`${what} from ${url.host} within ${ms / 1000}s`))
        request.setTimeout(timeoutMs, () => giveUp('no answer', timeoutMs))
        const longest = timeoutMs * longestInTimeouts
        const atLast = setTimeout(() => giveUp('no whole answer', longest), longest)
        request.once('close', () => clearTimeout(atLast))
      }
      request.on('error', (error: NodeJS.ErrnoException) => {
        // The server closed an idle connection in the moment in which it was used again.
        const closedBefore =
          answer === undefined && method === 'GET' && request.reusedSocket && error.code === 'ECONNRESET'
        if (!closedBefore) return reject(this.#broken(error, exchange))
        const again = this.#open(method, path, exchange)
        // A broken connection can tell of itself twice, and nobody waits for the second answer.
        again.catch(() => undefined)
        resolve(again)
      })
      request.end(options.body)
    })
  }

  #broken(error: Error, { signal }: Exchange): Error {
    return signal?.aborted ? error : new ConnectionError(this.server, error)
  }

  async #options(method: string, exchange: Exchange): Promise<https.RequestOptions & { body: string | undefined }> {
    const body = exchange.body === undefined ? undefined : JSON.stringify(exchange.body)
    const options: https.RequestOptions = {
      method,
      headers: {
        Accept: exchange.accept ?? 'application/json',
        'User-Agent': 'talos-migrate',
        ...(body === undefined ? {} : { 'Content-Type': exchange.contentType ?? 'application/json' }),
        // Of itself Node sends no length, and so no body, with DELETE.
        ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
      },
      ...(exchange.signal ? { signal: exchange.signal } : {}),
    }
    await this.#config.applyToHTTPSOptions(options)
    this.#agent ??= new https.Agent({ keepAlive: true, maxSockets: 32 })
    return { ...options, agent: this.#agent, body }
  }
}

function urlOf(server: string, path: string, query: Query = {}): URL {
  const url = new URL(server + path)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}
