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
  const notes: string[] = []
  const options = { clock, firstPage: 100, note: (text: string) => void notes.push(text) }
  const outcome = readListing(server.api, '/api/v1/things', options, consume)
  const result = await outcome.catch((error: unknown) => error).finally(() => server.close())
  return { result, listings, clock, notes, requests: server.requests }
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

test('a pause that the server asks for by a date is counted from its own clock', async (t) => {
  const inTenSeconds = () => new Date(Date.now() + 10_000).toUTCString()
  const { result, clock } = await read((request) =>
    request === 1 ? { status: 429, retryAfter: inTenSeconds() } : undefined,
  )
  t.deepEqual(result, allNames)
  // A date has no fractions of a second.
  t.true(clock.slept.length === 1 && [9000, 10_000, 11_000].includes(clock.slept[0] ?? 0), String(clock.slept))
})

test('Retry-After that is 0, or makes no sense, leaves the pause to us', async (t) => {
  const { result, clock } = await read((request) => {
    const retryAfter = ['0', 'soon', 'Wed, 21 Oct 2015 07:28:00 GMT'][request - 1]
    return retryAfter === undefined ? undefined : { status: 503, retryAfter }
  })
  t.deepEqual(result, allNames)
  t.deepEqual(clock.slept, [250, 500, 1000])
})

test('a pause that is asked for and too long is not kept, and that is said', async (t) => {
  const { result, clock, notes } = await read((request) =>
    request === 1 ? { status: 429, retryAfter: '86400' } : undefined,
  )
  t.deepEqual(result, allNames)
  t.deepEqual(clock.slept, [30_000])
  t.is(notes.length, 1)
  t.regex(notes[0] ?? '', /things.*86400 s.*after 30 s/)
})

test('429 is borne longer than a failure, and not for ever', async (t) => {
  const { result, clock } = await read(() => ({ status: 429, retryAfter: '1' }))
  t.is((result as ApiError).status, 429)
  t.is(clock.slept.length, 120)
})

test('a webhook that hangs is not waited for again and again', async (t) => {
  const server = await listServer([])
  t.teardown(server.close)
  const clock = instantClock()
  let asked = 0
  const raw = async () => {
    asked++
    clock.pass(30_000)
    throw new ApiError(
      'GET',
      '/x',
      500,
      '{"message":"conversion webhook for x.io/v1 failed: context deadline exceeded"}',
    )
  }
  const reading = readListing({ raw }, '/x', { clock }, async (pages) => pages.next())
  await t.throwsAsync(reading, { instanceOf: ApiError, message: /conversion webhook/ })
  t.is(asked, 1)
})

test('a connection that breaks, breaks off in an answer, or brings one that is cut off, is made again', async (t) => {
  const { result, requests } = await read((request) => (['hang up', 'break off', 'cut'] as const)[request - 1])
  t.deepEqual(result, allNames)
  t.is(requests.length, 5)
})

test('what a server that was away refuses at first, it is asked for again', async (t) => {
  const { result } = await read((request) => {
    // An idle connection that was closed is made again at once; a second one is a server that is away.
    if (request === 2 || request === 3) return 'hang up'
    const status = [401, 403, 404][request - 4]
    return status === undefined ? undefined : { status }
  })
  t.deepEqual(result, allNames)
})

test('a moment that is in the future of an etcd that was put back begins the collection anew', async (t) => {
  const message = 'etcdserver: mvcc: required revision is a future revision'
  const { result, listings } = await read((request) => (request === 2 ? { status: 500, message } : undefined))
  t.deepEqual(result, allNames)
  t.is(listings.length, 2)
})

test('a server that does not come back is an error for the operator, not a bug', async (t) => {
  const { result, clock } = await read(() => 'hang up')
  t.true(result instanceof OperatorError)
  t.regex((result as OperatorError).what, /no longer answers/)
  const minute = 60_000
  t.true(clock.slept.reduce((sum, ms) => sum + ms, 0) > minute * 0.9)
})
