import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import test from 'ava'
import { ApiError, KubernetesApi } from '../../lib/kubernetes/api.ts'
import { retrying } from '../../lib/kubernetes/retry.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { instantClock } from './list-server.ts'

const signal = new AbortController().signal
const options = () => ({ clock: instantClock(), signal, means: 'It stops here.' })
const refused = (status: number, retryAfter?: string) =>
  new ApiError('PATCH', '/x', status, '{"message":"no"}', retryAfter)

/** Fails with the errors in turn, and then answers. */
function failing(...errors: Error[]) {
  return async () => {
    const error = errors.shift()
    if (error) throw error
    return 'answered'
  }
}

test('429 and 5xx are tried again, after the pause that the server asks for', async (t) => {
  const given = options()
  t.is(await retrying(given, failing(refused(429, '3'), refused(503))), 'answered')
  t.is(given.clock.slept[0], 3000)
  t.is(given.clock.slept.length, 2)
})

test('a refusal that stays the same is not repeated', async (t) => {
  const given = options()
  await t.throwsAsync(retrying(given, failing(refused(403))), { instanceOf: ApiError })
  const hopeless = { ...given, hopeless: () => true }
  await t.throwsAsync(retrying(hopeless, failing(refused(500))), { instanceOf: ApiError })
  t.deepEqual(given.clock.slept, [])
})

test('a real client whose connections break is tried again, and ends with an error for the operator', async (t) => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const { port } = server.address() as AddressInfo
  const api = await KubernetesApi.fromString(
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}` } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  )
  t.teardown(() => api.close())
  const error = await t.throwsAsync(
    retrying(options(), () => api.get('/version')),
    { instanceOf: OperatorError },
  )
  t.regex(error.message, /no longer answers/)
  t.regex(error.means ?? '', /asked again and again for .* It stops here\.$/)
  t.true(connections > 10)
})
