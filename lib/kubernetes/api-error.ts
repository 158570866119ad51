import { messageOf, RemoteError } from '../migration/errors.ts'

/** An answer of the API server that is not 2xx. `reason` and `message` come from its Status object. */
export class ApiError extends RemoteError {
  readonly status: number
  readonly reason: string
  readonly body: string
  readonly retryAfterSeconds: number | undefined

  /** @param date the answer's own Date, which a Retry-After that is a date is counted from */
  constructor(method: string, path: string, status: number, body: string, retryAfter?: string, date?: string) {
    const parsed = parseStatus(body)
    super(`${method} ${path}: ${status} ${parsed.message || body.slice(0, 200)}`, refusal(status))
    this.name = 'ApiError'
    this.status = status
    this.reason = parsed.reason
    this.body = body
    this.retryAfterSeconds = retryAfter === undefined ? undefined : secondsOf(retryAfter, date)
  }

  /**
   * Whether the server does not know the moment that a continue token stands for: it was compacted, or it lies in the future of an etcd
   * that was put back to an earlier one.
   */
  get expired(): boolean {
    return (
      this.status === 410 || (this.status >= 500 && /future revision|Too large resource version/.test(this.message))
    )
  }
}

/** Sends a request, and takes one refusal for as good as done: 409 of what is there already, 404 of what is gone. @throws whatever else it fails with */
export async function ignoring(status: number, send: () => Promise<unknown>): Promise<void> {
  try {
    await send()
  } catch (error) {
    if (!(error instanceof ApiError && error.status === status)) throw error
  }
}

/** The API server could not be reached, or did not answer in time. */
export class ConnectionError extends RemoteError {
  readonly timedOut: boolean

  constructor(server: string, cause: Error) {
    super(`${server} does not answer: ${messageOf(cause)}`, {
      means: 'The Kubernetes API is down, or KUBECONFIG leads elsewhere.',
      next: 'Look at the machine (task talos:health), or correct KUBECONFIG; then the same command again.',
      cause,
    })
    this.name = 'ConnectionError'
    this.timedOut = cause instanceof NoAnswer
  }
}

/** The server was silent for too long. */
export class NoAnswer extends Error {}

function refusal(status: number): { means: string; next: string } {
  if (status === 401 || status === 403) {
    return {
      means: 'The credentials of KUBECONFIG are not accepted, or do not allow this.',
      next: "Fetch the administrator's: task talos:kubeconfig",
    }
  }
  return { means: 'The Kubernetes API refused the request.', next: 'Mend what it says; then the same command again.' }
}

/** @returns undefined for what is neither a number of seconds nor a date */
function secondsOf(retryAfter: string, date: string | undefined): number | undefined {
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter)
  const seconds = (Date.parse(retryAfter) - (date === undefined ? Date.now() : Date.parse(date))) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}

function parseStatus(body: string): { reason: string; message: string } {
  try {
    const status = JSON.parse(body) as { reason?: string; message?: string }
    return { reason: status.reason ?? '', message: status.message ?? '' }
  } catch {
    return { reason: '', message: '' }
  }
}
