import https from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'

/** One look at the API server: milliseconds since the epoch, and whether it said that it is ready. */
export interface Sample {
  at: number
  up: boolean
}

/** A time without API, from the last time that it was seen up to the first time that it is again. Milliseconds since the epoch. */
export interface Outage {
  from: number
  to: number
}

const everyMs = 100
const answerWithinMs = 1_000

/**
 * Asks the API server at /readyz ten times a second, until stopped. A connection of its own each time: one that was kept
 * open would hang on a machine whose power is gone.
 * Source: https://kubernetes.io/docs/reference/using-api/health-checks/
 * @param kubeconfig the text of one that is let in before and after
 * @param movesTo the address that the API server will have afterwards, when that is another one
 */
export async function watchAvailability(
  kubeconfig: string,
  movesTo?: string,
): Promise<{ samples: readonly Sample[]; stop(): void }> {
  const config = new KubeConfig()
  config.loadFromString(kubeconfig)
  const credentials: https.RequestOptions = {}
  await config.applyToHTTPSOptions(credentials)
  const url = new URL('/readyz', config.getCurrentCluster()?.server)
  const urls = [url, ...(movesTo === undefined ? [] : [new URL(`${url.protocol}//${movesTo}:${url.port}/readyz`)])]
  const samples: Sample[] = []
  let pending = 0
  const look = () => {
    if (pending > answerWithinMs / everyMs) return
    const at = Date.now()
    pending++
    void Promise.all(urls.map((each) => ask(each, credentials))).then((answers) => {
      pending--
      samples.push({ at, up: answers.includes(true) })
    })
  }
  const timer = setInterval(look, everyMs)
  look()
  return { samples, stop: () => clearInterval(timer) }
}

function ask(url: URL, credentials: https.RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const request = https.request(url, { ...credentials, agent: false, timeout: answerWithinMs }, (response) => {
      response.resume()
      response.once('error', () => resolve(false))
      response.once('end', () => resolve(response.statusCode === 200))
    })
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', () => resolve(false))
    request.end()
  })
}

/** The times without API. A single look that failed counts too: it is what a client would have met. */
export function outages(samples: readonly Sample[]): Outage[] {
  const ordered = [...samples].sort((a, b) => a.at - b.at)
  const found: Outage[] = []
  let lastUp: number | undefined
  let open: Outage | undefined
  for (const { at, up } of ordered) {
    if (up && open) {
      found.push({ from: open.from, to: at })
      open = undefined
    }
    if (up) lastUp = at
    else open ??= { from: lastUp ?? at, to: at }
    if (!up && open) open.to = at
  }
  return open ? [...found, open] : found
}
