import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'

const deadlineMs = 10_000

/** What an API server tells anybody who asks, whether it lets him in or not. */
export interface Greeting {
  /** when the certificate that it shows ends */
  readonly certificateEnds: Date
  /** its clock, to the second */
  readonly clock: Date
  /** this computer's clock before it was asked, and when it had answered */
  readonly sent: Date
  readonly received: Date
}

/**
 * Asks an API server without credentials, and without judging its certificate: it is only looked at. Whoever is refused is told the time
 * as well (RFC 9110, "Date").
 * @param server its URL
 * @throws Error when nobody answers within 10 seconds, or what answers tells no time
 */
export function greet(server: string): Promise<Greeting> {
  const sent = new Date()
  return new Promise((resolve, reject) => {
    const call = request(new URL('/version', server), { rejectUnauthorized: false, agent: false, timeout: deadlineMs })
    call.on('response', (response) => {
      const { valid_to } = (response.socket as TLSSocket).getPeerCertificate()
      response.resume()
      const clock = new Date(response.headers.date ?? '')
      if (Number.isNaN(clock.getTime())) return reject(new Error(`${server} tells no time`))
      resolve({ certificateEnds: new Date(valid_to), clock, sent, received: new Date() })
    })
    call.on('timeout', () => call.destroy(new Error(`no answer from ${server} within ${deadlineMs / 1000} s`)))
    call.on('error', reject)
    call.end()
  })
}
