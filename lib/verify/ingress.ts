import { request } from 'node:http'
import pMap from 'p-map'
import { messageOf } from '../migration/errors.ts'

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

/** Whether somebody stands behind the host: what says "not found" or "bad gateway" is the ingress controller itself. */
export function isServed({ status }: Pick<Answer, 'status'>): boolean {
  return status !== null && status !== 404 && (status < 502 || status > 504)
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
