import { readFile } from 'node:fs/promises'
import https from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { messageOf, OperatorError, RemoteError } from '../migration/errors.ts'

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

/** An answer of the API server that is not 2xx. `reason` and `message` come from its Status object. */
export class ApiError extends RemoteError {
  readonly status: number
  readonly reason: string
  readonly body: string
  readonly retryAfterSeconds: number | undefined

  constructor(method: string, path: string, status: number, body: string, retryAfter: string | undefined) {
    const parsed = parseStatus(body)
    super(`${method} ${path}: ${status} ${parsed.message || body.slice(0, 200)}`, refusal(status))
    this.name = 'ApiError'
    this.status = status
    this.reason = parsed.reason
    this.body = body
    this.retryAfterSeconds = retryAfter === undefined ? undefined : Number(retryAfter)
  }
}

/** The API server could not be reached, or did not answer in time. */
export class ConnectionError extends RemoteError {
  constructor(server: string, cause: Error) {
    super(`${server} does not answer: ${messageOf(cause)}`, {
      means: 'The Kubernetes API is down, or KUBECONFIG leads elsewhere.',
      next: 'Look at the machine (task talos:health), or correct KUBECONFIG; then the same command again.',
      cause,
    })
    this.name = 'ConnectionError'
  }
}

const defaultTimeoutMs = 30_000
const pageSize = 500

/**
 * The Kubernetes API as plain REST, with the credentials of a kubeconfig. Kinds that no typed client knows (Flux, Argo CD, Liqo)
 * are spoken to as any other. Every call has a deadline.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
export class KubernetesApi {
  readonly server: string
  #config: KubeConfig
  #agent: https.Agent | undefined

  private constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster()
    if (!cluster) throw new OperatorError('The kubeconfig names no current cluster.', { next: 'Check KUBECONFIG.' })
    this.server = cluster.server.replace(/\/$/, '')
    this.#config = config
  }

  /** @throws OperatorError when the file is missing, or is no kubeconfig */
  static async fromFile(path: string, options: { context?: string } = {}): Promise<KubernetesApi> {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new OperatorError(`The kubeconfig ${path} cannot be read: ${messageOf(error)}`, {
        next: 'Set KUBECONFIG to the file, or fetch one: task talos:kubeconfig',
        cause: error,
      })
    })
    return KubernetesApi.fromString(text, { ...options, origin: path })
  }

  /** @throws OperatorError when the text is no kubeconfig */
  static fromString(yaml: string, options: { context?: string; origin?: string } = {}): KubernetesApi {
    const config = new KubeConfig()
    try {
      config.loadFromString(yaml)
    } catch (error) {
      throw new OperatorError(`${options.origin ?? 'The text'} is no kubeconfig: ${messageOf(error)}`, {
        next: 'Set KUBECONFIG to the file, or fetch one: task talos:kubeconfig',
        cause: error,
      })
    }
    if (options.context !== undefined) config.setCurrentContext(options.context)
    return new KubernetesApi(config)
  }

  async get<T = KubernetesObject>(path: string, query?: Query): Promise<T> {
    return JSON.parse((await this.raw(path, query)).toString('utf8')) as T
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
    let next: string | undefined
    do {
      const page: { items?: T[]; metadata?: { continue?: string } } = await this.get(path, {
        limit: pageSize,
        ...query,
        continue: next,
      })
      items.push(...(page.items ?? []))
      next = page.metadata?.continue || undefined
    } while (next !== undefined)
    return items
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
    const response = await this.#open(method, path, exchange)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }

  async #open(method: string, path: string, exchange: Exchange): Promise<import('node:http').IncomingMessage> {
    const options = await this.#options(method, exchange)
    const url = urlOf(this.server, path, exchange.query)
    return new Promise((resolve, reject) => {
      const request = https.request(url, options, (response) => {
        const status = response.statusCode ?? 0
        if (status >= 200 && status < 300) return resolve(response.on('error', reject))
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8')
          reject(new ApiError(method, path, status, body, response.headers['retry-after']))
        })
      })
      const timeoutMs = exchange.timeoutMs ?? defaultTimeoutMs
      if (timeoutMs > 0) {
        request.setTimeout(timeoutMs, () =>
          request.destroy(new Error(`no answer from ${url.host} within ${timeoutMs / 1000}s`)),
        )
      }
      request.on('error', (error) => reject(exchange.signal?.aborted ? error : new ConnectionError(this.server, error)))
      request.end(options.body)
    })
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

function refusal(status: number): { means: string; next: string } {
  if (status === 401 || status === 403) {
    return {
      means: 'The credentials of KUBECONFIG are not accepted, or do not allow this.',
      next: "Fetch the administrator's: task talos:kubeconfig",
    }
  }
  return { means: 'The Kubernetes API refused the request.', next: 'Mend what it says; then the same command again.' }
}

function urlOf(server: string, path: string, query: Query = {}): URL {
  const url = new URL(server + path)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}

function parseStatus(body: string): { reason: string; message: string } {
  try {
    const status = JSON.parse(body) as { reason?: string; message?: string }
    return { reason: status.reason ?? '', message: status.message ?? '' }
  } catch {
    return { reason: '', message: '' }
  }
}
