import test from 'ava'
import { ApiError } from '../../lib/kubernetes/api.ts'
import { type Page, readListing } from '../../lib/kubernetes/listing.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { type Fault, instantClock, listServer } from './list-server.ts'

const thing = (number: number) => `{"metadata":{"name":"thing-${number}"}}`
const things = Array.from({ length: 250 }, (_, number) => thing(number))

async function read(fault?: Fault, items: readonly string[] = things) {
  const server = await listServer(items, fault)
  const clock = instantClock()
  const listings: string[][] = []
  const consume = async (pages: AsyncGenerator<Page>) => {
    const names: string[] = []
    listings.push(names)
    for await (const page of pages) names.push(...page.lines.toString().split('\n').slice(0, -1).map(nameOf))
    return names
  }
  const outcome = readListing(server.api, '/api/v1/things', { clock, firstPage: 100 }, consume)
  const result = await outcome.catch((error: unknown) => error).finally(() => server.close())
  return { result, listings, clock, requests: server.requests }
}

const nameOf = (item: string) => JSON.parse(item).metadata.name as string
const allNames = things.map(nameOf)

test('a collection is read page by page, each object once and in order', async (t) => {
  const { result, requests } = await read()
  t.deepEqual(result, allNames)
  t.is(requests.length, 2)
  t.is(requests[1]?.get('continue'), '100')
})

test('pages shrink when objects are heavy, so that memory stays bounded', async (t) => {
  const heavy = Array.from({ length: 30 }, (_, i) => `{"metadata":{"name":"h-${i}"},"data":"${'x'.repeat(400_000)}"}`)
  const server = await listServer(heavy)
  t.teardown(server.close)
  const sizes: number[] = []
  await readListing(server.api, '/x', { clock: instantClock(), firstPage: 5 }, async (pages) => {
    for await (const page of pages) sizes.push(page.count)
  })
  t.deepEqual(sizes.slice(0, 4), [5, 2, 2, 2])
})

test('410 Gone begins that collection anew, and nothing is there twice', async (t) => {
  const { result, listings, requests } = await read((request) => (request === 2 ? { status: 410 } : undefined))
  t.deepEqual(result, allNames)
  t.is(listings.length, 2)
  t.is(requests[2]?.get('continue'), null)
})

test('a collection that expires again and again is given up with the reason', async (t) => {
  const { result, listings } = await read(
    (_, url) => (url.searchParams.has('continue') ? { status: 410 } : undefined),
    [...Array.from({ length: 20_000 }, (_, number) => thing(number))],
  )
  t.true(result instanceof ApiError)
  t.is((result as ApiError).status, 410)
  t.is(listings.length, 6)
})

test('429 is tried again after the time that the server asks for', async (t) => {
  const { result, clock } = await read((request) => (request === 2 ? { status: 429, retryAfter: '3' } : undefined))
  t.deepEqual(result, allNames)
  t.deepEqual(clock.slept, [3000])
})

test('5xx without Retry-After is tried again after growing pauses, and then is the reason', async (t) => {
  const { result, clock } = await read(() => ({ status: 503 }))
  t.is((result as ApiError).status, 503)
  t.deepEqual(clock.slept, [250, 500, 1000, 2000, 4000])
})

test('403 is not tried again', async (t) => {
  const { result, clock, requests } = await read(() => ({ status: 403 }))
  t.is((result as ApiError).status, 403)
  t.is(requests.length, 1)
  t.deepEqual(clock.slept, [])
})

test('a connection that breaks, or an answer that is cut off, is asked for again', async (t) => {
  const { result, requests } = await read((request) => (['hang up', 'cut'] as const)[request - 1])
  t.deepEqual(result, allNames)
  t.is(requests.length, 4)
})

test('a server that does not come back is an error for the operator, not a bug', async (t) => {
  const { result, clock } = await read(() => 'hang up')
  t.true(result instanceof OperatorError)
  t.regex((result as OperatorError).what, /no longer answers/)
  const minute = 60_000
  t.true(clock.slept.reduce((sum, ms) => sum + ms, 0) > minute * 0.9)
})
