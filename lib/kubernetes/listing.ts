import type { Clock } from '../migration/clock.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { ApiError, type KubernetesApi } from './api.ts'
import { cutPage, type Page } from './page.ts'

export type { Page } from './page.ts'

export interface ListingOptions {
  clock: Clock
  /** objects on the first page; later pages are sized by what the objects weigh */
  firstPage?: number
}

type Reader = Pick<KubernetesApi, 'raw' | 'server'>

/** How many objects the first page of a listing has. */
export const firstPageLimit = 100
// As many as kubectl asks for: behind a page of light objects there may be one of heavy ones.
const largestPageLimit = 500
/** What a page should weigh. Four times as much was no faster (24,000 objects, 95 MB), and took 25 MB more of memory. */
const pageBytes = 1024 * 1024
const pageTimeoutMs = 60_000
const restarts = 5
const triesOfRefusedPage = 6
// With pauses that grow to 4 s, about a minute: as long as a restarting API server needs.
const triesWithoutServer = 18

/**
 * Reads a whole collection in pages, holding at most two of them. The pages of one listing show one moment of the cluster. When the
 * server has forgotten that moment (410 Gone), `consume` is called again from the start, with a listing of its own.
 * 429 and 5xx are tried again after the server's Retry-After; so is a connection that breaks.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 * @param path of the collection, e.g. '/apis/apps/v1/deployments'
 * @throws ApiError when the server refuses this collection; OperatorError when there is no server any more
 */
export async function readListing<T>(
  api: Reader,
  path: string,
  options: ListingOptions,
  consume: (pages: AsyncGenerator<Page>) => Promise<T>,
): Promise<T> {
  for (let restart = 0; ; restart++) {
    try {
      // A listing that expires was too slow: fewer and larger pages from then on.
      return await consume(pagesOf(api, path, options, 2 ** restart))
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410) || restart === restarts) throw error
    }
  }
}

async function* pagesOf(
  api: Reader,
  path: string,
  options: ListingOptions,
  scale: number,
): AsyncGenerator<Page, void, undefined> {
  const abandoned = new AbortController()
  const fetch = (limit: number, token?: string) => {
    const page = fetchPage(api, path, { limit, continue: token }, options.clock, abandoned.signal)
    // It is awaited below; until then a failure is not an unhandled one.
    page.catch(() => undefined)
    return page
  }
  try {
    let coming = fetch((options.firstPage ?? firstPageLimit) * scale)
    for (;;) {
      const { page, bytes } = await coming
      if (page.continueToken === '') return yield page
      coming = fetch(limitFor(bytes / Math.max(1, page.count)) * scale, page.continueToken)
      yield page
    }
  } finally {
    abandoned.abort()
  }
}

/** How many objects of this weight the next page is to have. */
export function limitFor(bytesPerObject: number): number {
  return Math.max(1, Math.min(largestPageLimit, Math.floor(pageBytes / Math.max(1, bytesPerObject))))
}

async function fetchPage(
  api: Reader,
  path: string,
  query: { limit: number; continue: string | undefined },
  clock: Clock,
  signal: AbortSignal,
): Promise<{ page: Page; bytes: number }> {
  for (let tries = 1; ; tries++) {
    try {
      const bytes = await api.raw(path, query, { timeoutMs: pageTimeoutMs, signal })
      return { page: cutPage(bytes), bytes: bytes.length }
    } catch (error) {
      if (signal.aborted || error instanceof OperatorError) throw error
      await pauseBeforeRetry(error, tries, api.server, clock, signal)
    }
  }
}

/** @throws the error itself, or what it means, when trying again is of no use */
async function pauseBeforeRetry(error: unknown, tries: number, server: string, clock: Clock, signal: AbortSignal) {
  const growing = Math.min(4000, 125 * 2 ** tries)
  if (error instanceof ApiError) {
    const again = error.status === 429 || error.status >= 500
    if (!again || tries >= triesOfRefusedPage) throw error
    const asked = error.retryAfterSeconds
    return clock.sleep(asked !== undefined && asked > 0 ? asked * 1000 : growing, signal)
  }
  if (!isBrokenConnection(error)) throw error
  if (tries >= triesWithoutServer) {
    throw new OperatorError(`The API server at ${server} no longer answers: ${messageOf(error)}`, {
      means: 'The listing could not be read to its end.',
      next: 'Check the API server, then run the same command again.',
      cause: error,
    })
  }
  return clock.sleep(growing, signal)
}

/** Anything that the network does: a system error of Node with a code, its timeout, or an answer that is cut off. */
function isBrokenConnection(error: unknown): boolean {
  if (error instanceof SyntaxError) return true
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return (typeof code === 'string' && /^E[A-Z]+$/.test(code)) || messageOf(error).startsWith('no answer from')
}
