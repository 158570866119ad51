import test from 'ava'
import { ConnectionError } from '../../lib/kubernetes/api-error.ts'
import type { Clock } from '../../lib/migration/clock.ts'
import { Interrupted } from '../../lib/migration/errors.ts'
import type { Baseline } from '../../lib/verify/baseline.ts'
import { compare } from '../../lib/verify/comparison.ts'
import type { Seen } from '../../lib/verify/look.ts'
import { watch } from '../../lib/verify/watch.ts'
import { listeningConsole } from '../migration/run-in-folder.ts'
import { emptyState } from './states.ts'

const plex = { key: 'Deployment media/plex', wanted: 1, ready: 1, observed: true }
const well: Baseline = { ...emptyState, workloads: [plex] }
const broken: Baseline = { ...well, workloads: [{ ...plex, ready: 0 }] }
const seen = (now: Baseline): Seen => ({ ...compare(well, now), now })

/** Watches through these looks, one after the other; then the operator presses Ctrl-C. */
async function watched(...looks: readonly (Baseline | Error)[]) {
  const console = listeningConsole()
  const ended = new AbortController()
  const left = [...looks]
  const clock: Clock = {
    now: () => new Date('2025-12-04T20:00:00Z'),
    elapsed: () => 0,
    sleep: async () => {
      if (left.length === 0) ended.abort()
    },
  }
  const look = async () => {
    const next = left.shift() ?? well
    if (next instanceof Error) throw next
    return seen(next)
  }
  const outcome = await watch({ console, clock, signal: ended.signal }, look).catch((error: unknown) => error)
  const said = (how: string) => console.lines.filter((line) => line.startsWith(how))
  // The time of day stands before each.
  const told = said('info').map((line) => line.replace(/^info (\d\d:\d\d:\d\d {2})?/, ''))
  return { outcome, told, live: said('live'), tables: said('table') }
}

test('as long as nothing changes nothing is told, but how things stood at first', async (t) => {
  const { told, live } = await watched(well, well, well)
  const changes = told.filter((line) => !/^Fine: |^Nothing is newly broken/.test(line))
  t.is(changes.length, 1)
  t.regex(changes[0] ?? '', /^0 newly broken · 0 warnings · .*Workloads ready: 1 of 1/)
  t.is(live.length, 3, 'the table is shown at every look')
})

test('each change is a line: what broke, what is well again, what vanished and what appeared', async (t) => {
  const more = {
    ...well,
    claims: [{ key: 'PersistentVolumeClaim media/new', phase: 'Bound', storageClass: 'x', size: '' }],
  }
  const { told } = await watched(well, broken, well, { ...well, workloads: [] }, more)
  const lines = told.filter((line) => !/newly broken · |^Fine: |^Nothing is newly broken/.test(line))
  t.deepEqual(lines, [
    'broken: Workloads are ready: Deployment media/plex (0 of 1 ready)',
    'well again: Workloads are ready: Deployment media/plex',
    'broken: Nothing is missing: Deployment media/plex (it was there at the time of the backup, and is not now)',
    'vanished: Deployment media/plex',
    'well again: Nothing is missing: Deployment media/plex',
    'appeared: Deployment media/plex',
    'appeared: PersistentVolumeClaim media/new',
    'Appeared since the backup: PersistentVolumeClaim media/new',
  ])
})

test('the live table has what is not well', async (t) => {
  const { live } = await watched(broken)
  t.regex(live[0] ?? '', /newly broken +Workloads are ready +Deployment media\/plex +0 of 1 ready/)
})

test('Ctrl-C ends it as interrupted, with what was seen last', async (t) => {
  const { outcome, tables } = await watched(well, broken)
  t.true(outcome instanceof Interrupted)
  t.is(tables.length, 1)
  t.regex(tables[0] ?? '', /Newly broken \(1\).*Deployment media\/plex/)
})

test('an API server that is away is said once, and so is that it is back', async (t) => {
  const away = new ConnectionError('https://127.0.0.1:6443', new Error('connect ECONNREFUSED'))
  const { told, live } = await watched(well, away, away, well)
  t.is(told.filter((line) => /no answer: .*ECONNREFUSED/.test(line)).length, 1)
  t.is(told.filter((line) => line.includes('the cluster answers again')).length, 1)
  t.regex(live[1] ?? '', /ECONNREFUSED/)
})

test('what nobody expected ends it', async (t) => {
  const { outcome } = await watched(well, new TypeError('a fault'))
  t.true(outcome instanceof TypeError)
})
