import https from 'node:https'
import { parseKubeconfig } from './kubeconfig.ts'

/** One look at the API server: milliseconds since the epoch, and whether it answered. */
export interface Sample {
  at: number
  up: boolean
}

/** A time without API, from the last time that it was seen up to the first time that it is again. Milliseconds since the epoch. */
export interface Outage {
  from: number
  to: number
}

/** A watch that goes on until it is stopped. */
export interface Availability {
  readonly samples: readonly Sample[]
  stop(): void
}

const everyMs = 100
const answerWithinMs = 1_000

/** A read that etcd's quorum must agree to: an API server whose etcd has no leader cannot answer it. */
export const consistentRead = '/api/v1/namespaces/kube-system'

/**
 * Asks the API server ten times a second, until stopped. A connection of its own each time: one that was kept
 * open would hang on a machine whose power is gone.
 * Source: https://kubernetes.io/docs/reference/using-api/health-checks/
 * @param kubeconfig the text of one that is let in before and after
 * @param options server: the URL of the one API server to ask; without it that of the kubeconfig. path: what is asked for; without it
 *   whether it is ready. movesTo: the address that the API server will have afterwards, when that is another one
 */
export async function watchAvailability(
  kubeconfig: string,
  { server, path = '/readyz', movesTo }: { server?: string; path?: string; movesTo?: string | undefined } = {},
): Promise<Availability> {
  const config = await parseKubeconfig(kubeconfig)
  const credentials: https.RequestOptions = {}
  await config.applyToHTTPSOptions(credentials)
  const url = new URL(path, server ?? config.getCurrentCluster()?.server)
  const urls = [url, ...(movesTo === undefined ? [] : [new URL(`${url.protocol}//${movesTo}:${url.port}${path}`)])]
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

/** The times in which none of several API servers was there: where the outages of all of them overlap. */
export function commonOutages(watched: readonly Pick<Availability, 'samples'>[]): Outage[] {
  const [first = [], ...others] = watched.map(({ samples }) => outages(samples))
  return others.reduce((common, own) => common.flatMap((one) => own.flatMap((other) => overlap(one, other))), first)
}

function overlap(one: Outage, other: Outage): Outage[] {
  const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)]
  return from < to ? [{ from, to }] : []
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
