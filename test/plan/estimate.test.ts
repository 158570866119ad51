import test from 'ava'
import { durations, swap } from '../../lib/migration/durations.ts'
import type { EarlierRun } from '../../lib/migration/earlier-runs.ts'
import { evening } from '../../lib/migration/evening.ts'
import { estimate, totals } from '../../lib/plan/estimate.ts'
import { change, phase, recordsAt, run } from '../report/records.ts'

const sizes = { objects: 1500, stateful: 40, pods: 38, graceSeconds: 30, gitops: 57, evacuatedBytes: 0, joining: 2 }

/** A run that took so many seconds for each of its phases, and made so many changes in its drain. */
function earlier(kind: EarlierRun['kind'], seconds: Record<string, number>, drained = 0): EarlierRun {
  const records = recordsAt(
    [0, run],
    ...Object.entries(seconds).flatMap(
      ([name, took]): Parameters<typeof recordsAt> => [
        [1, phase(name, 'begin')],
        [2, { type: 'phase', phase: name, state: 'done', seconds: took }],
      ],
    ),
    ...Array.from({ length: drained }, (_, id): [number, ReturnType<typeof change>] => [
      3,
      change(id, 'drain', `Scale ${id}`),
    ]),
  )
  return { kind, id: 'RUN', cluster: 'catalyst', scenario: 'A', at: '2026-11-24T23:00:00Z', records }
}

const of = (name: string, past: EarlierRun[], more = sizes) => {
  const found = estimate('A', more, past).find((each) => each.phase === name)
  if (!found) throw new Error(`no estimate of ${name}`)
  return found
}

test('every phase of every scenario that takes time has a range that begins below its end, in the order of the evening', (t) => {
  for (const scenario of ['A', 'B', 'C'] as const) {
    const phases = estimate(scenario, sizes, [])
    const named = phases.map((each) => each.phase).filter((name) => name !== swap)
    const timed = evening(scenario)
      .map(({ name }) => name)
      .filter((name) => name !== 'plan')
    t.deepEqual(named, timed)
    t.is(
      phases.some((each) => each.phase === swap),
      scenario !== 'C',
    )
    for (const { phase: name, fromSeconds, toSeconds } of phases) t.true(fromSeconds < toSeconds, name)
  }
})

test('more to do takes longer', (t) => {
  for (const name of ['drain', 'resume']) {
    t.true(of(name, [], { ...sizes, pods: 200 }).toSeconds > of(name, []).toSeconds)
    t.true(of(name, [], { ...sizes, evacuatedBytes: 100e9 }).fromSeconds >= 100)
  }
  t.regex(of('drain', [], { ...sizes, evacuatedBytes: 100e9 }).basedOn, /at most 100\.0 GB copied/)
})

test('what was done here in earnest is believed more than any assumption, with room to both sides', (t) => {
  const past = [
    earlier('evening', { provision: 400 }),
    earlier('evening', { provision: 500 }),
    earlier('rehearsal', { provision: 6 }),
  ]
  const { fromSeconds, toSeconds, basedOn } = of('provision', past)
  t.is(fromSeconds, 320)
  t.is(toSeconds, 750)
  t.is(basedOn, 'done here 2 times: 6m 40s, 8m 20s')
})

test('a rehearsal says how long it takes at the least, for its machines start in a second, and nothing of the swap', (t) => {
  const bare = of('provision', [])
  const { fromSeconds, toSeconds, basedOn } = of('provision', [earlier('rehearsal', { provision: 11.6 })])
  t.is(fromSeconds, 11.6)
  t.is(toSeconds, bare.toSeconds)
  t.regex(basedOn, /^rehearsed here in 11\.6s; at most: installation/)
  t.deepEqual(of(swap, [earlier('rehearsal', { shutdown: 3 })]), of(swap, []))
})

test('the time of a drain that had half as much to do is doubled', (t) => {
  const expected = sizes.stateful + sizes.pods + sizes.gitops
  const half = Math.round(expected / 2)
  const { toSeconds } = of('drain', [earlier('evening', { drain: 60 }, half)])
  t.true(Math.abs(toSeconds - (60 * 1.5 * expected) / half) < 0.01, `${toSeconds}`)
})

test('what an earlier run began and did not finish is no measure', (t) => {
  const records = recordsAt(
    [0, run],
    [1, phase('drain', 'begin')],
    [99, { type: 'phase', phase: 'drain', state: 'failed', seconds: 98 }],
  )
  t.is(durations(records).size, 0)
  t.deepEqual(of('drain', [{ ...earlier('evening', {}), records }]), of('drain', []))
})

test('the API is down from shutdown to provision, and not longer than the evening', (t) => {
  const { evening: whole, downtime } = totals(estimate('A', sizes, []))
  t.true(downtime.toSeconds < whole.toSeconds)
  t.true(downtime.fromSeconds >= 600)
})
