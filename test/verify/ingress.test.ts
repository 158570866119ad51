import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { type Baseline, baselineSchema } from '../../lib/verify/baseline.ts'
import { askIngress, ingressFindings } from '../../lib/verify/ingress.ts'

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

function baseline(hosts: string[], answers: Baseline['ingress'] = []): Baseline {
  const empty = {
    nodes: [],
    workloads: [],
    pods: [],
    cronJobs: [],
    volumes: [],
    claims: [],
    flux: [],
    applications: [],
  }
  const listed = hosts.map((host) => ({ host, from: 'Ingress a/b' }))
  return baselineSchema.parse({
    version: 1,
    takenAt: 'x',
    ...empty,
    externalSecrets: [],
    hosts: listed,
    ingress: answers,
  })
}

test('every host is asked for by its name, at the address of the node', async (t) => {
  const port = await ingress(t, { 'a.talos00': 200, 'b.talos00': 302, 'c.talos00': 503 })
  const answers = await askIngress(['a.talos00', 'b.talos00', 'c.talos00', 'd.talos00'], '127.0.0.1', port)
  t.deepEqual(
    answers.map(({ status }) => status),
    [200, 302, 503, 404],
  )
})

test('an address where nothing listens is an answer too', async (t) => {
  const [answer] = await askIngress(['a.talos00'], '127.0.0.1', 1)
  t.is(answer?.status, null)
  t.regex(answer?.saw ?? '', /ECONNREFUSED/)
})

test('a host that was served before and is not now is an error, one that never was is nothing new', async (t) => {
  const port = await ingress(t, { 'a.talos00': 503, 'b.talos00': 503, 'c.talos00': 200 })
  const before = baseline(
    ['a.talos00', 'b.talos00', 'c.talos00'],
    [
      { host: 'a.talos00', status: 200, saw: 'HTTP 200' },
      { host: 'b.talos00', status: 503, saw: 'HTTP 503' },
      { host: 'c.talos00', status: 200, saw: 'HTTP 200' },
    ],
  )
  const found = await ingressFindings(before, '127.0.0.1', port)
  t.deepEqual(
    found.map(({ subject, severity }) => [subject, severity]),
    [['a.talos00', 'error']],
  )
})

test('without answers from before, silence of all hosts is one warning', async (t) => {
  const found = await ingressFindings(baseline(['a.talos00', 'b.talos00']), '127.0.0.1', 1)
  t.is(found.length, 1)
  t.like(found[0], { subject: 'all 2 hosts', severity: 'warning' })
})
