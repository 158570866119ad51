import test from 'ava'
import type { Pod } from '../../lib/kubernetes/kinds.ts'
import { tellWhoIsLeft } from '../../lib/kubernetes/still-there.ts'

const now = new Date('2026-11-24T12:00:00Z')
const before = '2026-11-24T11:59:00Z'
const after = '2026-11-24T12:01:00Z'

function pod(name: string, metadata: Partial<Pod['metadata']> = {}, rest: Partial<Pod> = {}): Pod {
  return {
    metadata: { name, namespace: 'ns', uid: name, ...metadata },
    spec: {},
    status: { phase: 'Running' },
    ...rest,
  }
}

const container = (state: string) => ({ name: 'app', ready: false, restartCount: 0, state: { [state]: {} } })
const tell = (pods: Pod[], refusals: [string, string][] = []) => tellWhoIsLeft(pods, 110, new Map(refusals), now)

test('each pod says why it is there: refused, held, still running, volume, grace', (t) => {
  const claimed = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }
  const lines = tell(
    [
      pod('graceful', { deletionTimestamp: after }),
      pod('running', { deletionTimestamp: before }, { status: { containerStatuses: [container('running')] } }),
      pod('held', { deletionTimestamp: before, finalizers: ['example/hold'] }),
      pod('refused'),
    ],
    [['refused', 'budget db needs 1 healthy, has 1']],
  ).split('\n')
  t.is(lines[0], '4 of 110 still there')
  t.regex(lines[1] ?? '', /^ {3}ns\/refused: budget db needs 1 healthy, has 1$/)
  t.is(lines[2], '   ns/held: held by finalizer example/hold')
  t.regex(lines[3] ?? '', /^ {3}ns\/running: overdue since \d\d:59:00: app still runs$/)
  t.is(lines[4], '   and 1 more, 1 of them ending in their grace')
  t.regex(tell([pod('graceful', { deletionTimestamp: after })]), /^ {3}ns\/graceful: its grace ends at \d\d:01:00$/m)
  const unmounting = pod(
    'pg-0',
    { deletionTimestamp: before },
    { spec: claimed, status: { containerStatuses: [container('terminated')] } },
  )
  t.regex(tell([unmounting]), /overdue since .*: it has ended, but data is mounted/)
})

test('a hundred pods are told in a handful of lines that fit 80 columns, those first that need somebody', (t) => {
  const ending = Array.from({ length: 100 }, (_, at) => pod(`ending-${at}`, { deletionTimestamp: after }))
  const names = ['a', 'b', 'c'].map((letter) => `${letter}-${'very-'.repeat(20)}long-name`)
  const refused = names.map((name) => pod(name))
  const reasons = names.map((name): [string, string] => [name, `${name.slice(0, 1)} ${'x'.repeat(200)}`])
  const lines = tell([...ending, ...refused], reasons).split('\n')
  t.is(lines.length, 8)
  t.true(lines.every((line) => line.length <= 80))
  t.regex(lines[1] ?? '', /ns\/a-very-/)
  t.regex(lines[2] ?? '', /^ {5}a xxx/)
  t.is(lines[7], '   and 100 more, 100 of them ending in their grace')
})

test('pods that are there for the same reason share a line', (t) => {
  const reason = 'budget db needs 3 healthy, has 3'
  const pods = ['db-2', 'db-0', 'db-1'].map((name) => pod(name))
  const told = tell(
    pods,
    pods.map(({ metadata }) => [metadata.name, reason]),
  )
  t.is(told, `3 of 110 still there\n   ns/db-0 and 2 more: ${reason}`)
})

test('while nothing happens the text stays the same, so a log does not grow by a line a second', (t) => {
  const pods = [pod('graceful', { deletionTimestamp: after })]
  const later = new Date(now.getTime() + 20_000)
  t.is(tellWhoIsLeft(pods, 1, new Map(), now), tellWhoIsLeft(pods, 1, new Map(), later))
})
