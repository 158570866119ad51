import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubernetesApi } from '../../lib/kubernetes/api.ts'
import type { Clock } from '../../lib/migration/clock.ts'

/**
 * What the server does with a request instead of answering it: refuse it, break the connection, break it off in the middle of the
 * answer, send an answer that is whole for HTTP and cut off as JSON, fall silent in its middle, go on for ever in drops, or tell one event and go
 * on watching.
 */
export type FaultKind =
  | { status: number; retryAfter?: string; message?: string }
  | 'hang up'
  | 'break off'
  | 'cut'
  | 'fall silent'
  | 'drip'
  | 'one event'

/** Called with the number of the request, from 1. */
export type Fault = (request: number, url: URL) => FaultKind | undefined

export interface ListServer {
  api: KubernetesApi
  /** the query of each request, in order */
  requests: URLSearchParams[]
  close(): Promise<void>
}

/**
 * A server on loopback that pages through objects as an API server does, and the real client for it. The continue token is the offset.
 * @param items the objects of every path, or by path
 */
export async function listServer(
  items: readonly string[] | Record<string, readonly string[]>,
  fault: Fault = () => undefined,
): Promise<ListServer> {
  const requests: URLSearchParams[] = []
  const server = createServer(selfSigned(), (request, response) => {
    const url = new URL(request.url ?? '/', 'https://list')
    requests.push(url.searchParams)
    const listed = Array.isArray(items) ? items : (items as Record<string, readonly string[]>)[url.pathname]
    answer(request, response, url, listed ?? [], fault(requests.length, url))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const api = await clientOf(`https://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const close = async () => {
    api.close()
    await new Promise<void>((resolve) => server.close(() => resolve()).closeAllConnections())
  }
  return { api, requests, close }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  items: readonly string[],
  fault: FaultKind | undefined,
): void {
  if (fault === 'hang up') return void request.socket.destroy()
  if (typeof fault === 'object') {
    const { status, retryAfter, message = `fault ${status}` } = fault
    response.writeHead(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter })
    return void response.end(JSON.stringify({ kind: 'Status', message }))
  }
  if (fault === 'one event') return void response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
  if (fault === 'drip') {
    const dripping = setInterval(() => response.write(' '), 20)
    return void response.once('close', () => clearInterval(dripping))
  }
  const from = Number(url.searchParams.get('continue') ?? 0)
  const to = Math.min(items.length, from + Number(url.searchParams.get('limit')))
  const metadata = JSON.stringify({ resourceVersion: '7', ...(to < items.length ? { continue: String(to) } : {}) })
  const body = `{"kind":"ThingList","apiVersion":"v1","metadata":${metadata},"items":[${items.slice(from, to).join(',')}]}\n`
  if (fault === undefined) return void response.end(body)
  const part = body.slice(0, -10)
  if (fault === 'cut') return void response.end(part)
  response.writeHead(200, { 'Content-Length': Buffer.byteLength(body) })
  response.write(part, () => {
    if (fault === 'break off') request.socket.destroy()
  })
}

/** The real client for a server on loopback. */
export function clientOf(server: string): Promise<KubernetesApi> {
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'list',
    contexts: [{ name: 'list', context: { cluster: 'list', user: 'list' } }],
    clusters: [{ name: 'list', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'list', user: {} }],
  }
  return KubernetesApi.fromString(JSON.stringify(kubeconfig))
}

let made: { key: string; cert: string } | undefined

function selfSigned(): { key: string; cert: string } {
  if (made) return made
  const folder = mkdtempSync(join(tmpdir(), 'list-server-'))
  const [keyFile, certFile] = [join(folder, 'key'), join(folder, 'cert')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const certificate = ['-subj', '/CN=list', '-days', '2', '-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', ['req', '-x509', ...curve, ...certificate], { stdio: 'ignore' })
  made = { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') }
  rmSync(folder, { recursive: true })
  return made
}

/** Time that passes at once; `slept` are the pauses that were asked for, in milliseconds. */
export function instantClock(): Clock & { slept: number[]; pass(ms: number): void } {
  const slept: number[] = []
  let now = 0
  return {
    slept,
    now: () => new Date(now),
    elapsed: () => now,
    pass: (ms) => {
      now += ms
    },
    sleep: async (ms) => {
      slept.push(ms)
      now += ms
    },
  }
}
