import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError, type KubernetesApi, type Query } from '../../lib/kubernetes/api.ts'
import type { Clock } from '../../lib/migration/clock.ts'

/** What the server does with a request instead of answering it; called with the number of the request, from 1. */
export type Fault = (
  request: number,
  url: URL,
) => { status: number; retryAfter?: string } | 'hang up' | 'cut' | undefined

export interface ListServer {
  api: Pick<KubernetesApi, 'raw' | 'server'>
  /** the query of each request, in order */
  requests: URLSearchParams[]
  close(): Promise<void>
}

/**
 * A server on loopback that pages through objects as an API server does. The continue token is the offset.
 * @param items the objects of every path, or by path
 */
export async function listServer(
  items: readonly string[] | Record<string, readonly string[]>,
  fault: Fault = () => undefined,
): Promise<ListServer> {
  const requests: URLSearchParams[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://list')
    requests.push(url.searchParams)
    const listed = Array.isArray(items) ? items : (items as Record<string, readonly string[]>)[url.pathname]
    answer(request, response, url, listed ?? [], fault(requests.length, url))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    api: { server: base, raw: (path, query) => raw(base, path, query) },
    requests,
    close: () => new Promise((resolve) => server.close(() => resolve()).closeAllConnections()),
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  items: readonly string[],
  fault: ReturnType<Fault>,
): void {
  if (fault === 'hang up') return void request.socket.destroy()
  if (typeof fault === 'object') {
    response.writeHead(fault.status, fault.retryAfter === undefined ? {} : { 'Retry-After': fault.retryAfter })
    return void response.end(JSON.stringify({ kind: 'Status', message: `fault ${fault.status}` }))
  }
  const from = Number(url.searchParams.get('continue') ?? 0)
  const to = Math.min(items.length, from + Number(url.searchParams.get('limit')))
  const metadata = JSON.stringify({ resourceVersion: '7', ...(to < items.length ? { continue: String(to) } : {}) })
  const body = `{"kind":"ThingList","apiVersion":"v1","metadata":${metadata},"items":[${items.slice(from, to).join(',')}]}\n`
  response.end(fault === 'cut' ? body.slice(0, -10) : body)
}

/** With node:http, for its errors are those of node:https, by which the real KubernetesApi reads. */
async function raw(base: string, path: string, query: Query = {}): Promise<Buffer> {
  const url = new URL(path, base)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
  const response = await new Promise<IncomingMessage>((resolve, reject) => get(url, resolve).on('error', reject))
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  if (response.statusCode === 200) return body
  throw new ApiError('GET', path, response.statusCode ?? 0, body.toString(), response.headers['retry-after'])
}

/** Time that passes at once; `slept` are the pauses that were asked for, in milliseconds. */
export function instantClock(): Clock & { slept: number[] } {
  const slept: number[] = []
  return {
    slept,
    now: () => new Date(0),
    sleep: async (ms) => {
      slept.push(ms)
    },
  }
}
