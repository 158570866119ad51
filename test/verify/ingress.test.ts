import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { askIngress, isServed } from '../../lib/verify/ingress.ts'

async function ingress(t: ExecutionContext, statuses: Record<string, number>): Promise<number> {
  const server = createServer((request, response) => {
    response.statusCode = statuses[request.headers.host ?? ''] ?? 404
    response.end('x')
  })
  await new Promise<void>((ready) => {
    server.listen(0, '127.0.0.1', ready)
  })
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

test('every host is asked for by its name, at the address of the node', async (t) => {
  const port = await ingress(t, { 'a.talos00': 200, 'b.talos00': 302, 'c.talos00': 503 })
  const answers = await askIngress(['a.talos00', 'b.talos00', 'c.talos00', 'd.talos00'], '127.0.0.1', port)
  t.deepEqual(
    answers.map(({ status }) => status),
    [200, 302, 503, 404],
  )
  t.deepEqual(answers.map(isServed), [true, true, false, false])
})

test('an address where nothing listens is an answer too', async (t) => {
  const [answer] = await askIngress(['a.talos00'], '127.0.0.1', 1)
  t.is(answer?.status, null)
  t.regex(answer?.saw ?? '', /ECONNREFUSED/)
})
