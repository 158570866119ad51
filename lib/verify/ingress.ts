import { request } from 'node:http'
import pMap from 'p-map'
import { messageOf } from '../migration/errors.ts'
import type { Baseline } from './baseline.ts'
import type { NamedFinding } from './comparison.ts'

const check = 'Ingress answers by Host header'
const concurrency = 16
const timeoutMs = 5_000

/** What the ingress controller at an address says for one host; null status: nothing answered. */
export interface Answer {
  readonly host: string
  readonly status: number | null
  readonly saw: string
}

/**
 * Asks the node's own address for every host that the cluster serves, as the guide's `curl -H "Host: …"` does: no name
 * has to resolve. A redirect or a login page is an answer; 404 is an ingress controller that does not know the host,
 * 502 to 504 one without a backend.
 */
export async function askIngress(hosts: readonly string[], address: string, port = 80): Promise<Answer[]> {
  return pMap(hosts, (host) => ask(host, address, port), { concurrency })
}

/**
 * Hosts that do not answer now. Whether they ever did, a baseline without answers cannot tell: then it is a warning.
 */
export async function ingressFindings(before: Baseline, address: string, port = 80): Promise<NamedFinding[]> {
  const hosts = before.hosts.map(({ host }) => host)
  const answers = await askIngress(hosts, address, port)
  const known = new Map(before.ingress.map((answer) => [answer.host, isServed(answer)]))
  // Silent before and silent now is nothing that this evening did.
  const silent = answers.filter((answer) => !isServed(answer) && known.get(answer.host) !== false)
  if (silent.length > 1 && silent.length === hosts.length && known.size === 0) {
    const [first] = silent
    return first ? [{ ...findingOf(first, address, false), subject: `all ${hosts.length} hosts` }] : []
  }
  return silent.map((answer) => findingOf(answer, address, known.get(answer.host) === true))
}

function isServed({ status }: { status: number | null }): boolean {
  return status !== null && status !== 404 && (status < 502 || status > 504)
}

function findingOf(answer: Answer, address: string, answeredBefore: boolean): NamedFinding {
  return {
    check,
    subject: answer.host,
    evidence: answeredBefore ? `${answer.saw}; it was served before` : answer.saw,
    severity: answeredBefore ? 'error' : 'warning',
    wayOut: `curl -v -H "Host: ${answer.host}" http://${address}`,
    converging: true,
  }
}

function ask(host: string, address: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const call = request({ host: address, port, method: 'GET', path: '/', headers: { Host: host }, timeout: timeoutMs })
    call.on('response', (response) => {
      response.resume()
      const status = response.statusCode ?? 0
      resolve({ host, status, saw: `HTTP ${status}` })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer from ${address}:${port} within ${timeoutMs / 1000}s`)))
    call.on('error', (error) => resolve({ host, status: null, saw: messageOf(error) }))
    call.end()
  })
}
