import { ApiError, type KubernetesApi } from './api.ts'
import { cutPage, type Page } from './page.ts'
import { type RetryOptions, retrying } from './retry.ts'

export type { Page } from './page.ts'

export interface ListingOptions extends Pick<RetryOptions, 'clock' | 'note'> {
  /** objects on the first page; later pages are sized by what the objects weigh */
  firstPage?: number
}

type Reader = Pick<KubernetesApi, 'raw'>

/** How many objects the first page of a listing has. */
export const firstPageLimit = 100
// As many as kubectl asks for: behind a page of light objects there may be one of heavy ones.
const largestPageLimit = 500
/** What a page should weigh. Four times as much was no faster (24,000 objects, 95 MB), and took 25 MB more of memory. */
const pageBytes = 1024 * 1024
/** The API server gives a request up after 60 s, and says why; its answer is waited for. */
const pageTimeoutMs = 70_000
const restarts = 5

/**
 * Reads a whole collection in pages, holding at most two of them. The pages of one listing show one moment of the cluster. When the
 * server has forgotten that moment (410 Gone), `consume` is called again from the start, with a listing of its own.
 * A page that is refused for now (429, 5xx), or whose connection breaks, is asked for again: see retrying.
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
      if (!(error instanceof ApiError && error.expired) || restart === restarts) throw error
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
    const page = fetchPage(api, path, { limit, continue: token }, options, abandoned.signal)
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
  { clock, note }: ListingOptions,
  signal: AbortSignal,
): Promise<{ page: Page; bytes: number }> {
  const means = 'The listing could not be read to its end.'
  return retrying({ clock, signal, means, ...(note ? { note } : {}) }, async () => {
    const bytes = await api.raw(path, query, { timeoutMs: pageTimeoutMs, signal })
    return { page: cutPage(bytes), bytes: bytes.length }
  })
}
