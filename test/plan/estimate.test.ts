import test from 'ava'
import { estimate, totals } from '../../lib/plan/estimate.ts'

const sizes = { objects: 1500, stateful: 40, pods: 38, graceSeconds: 30, gitops: 57 }

test('every phase has a range that begins below its end', (t) => {
  for (const { phase, fromSeconds, toSeconds } of estimate(sizes)) t.true(fromSeconds < toSeconds, phase)
})

test('more to do takes longer', (t) => {
  const of = (phase: string, pods: number) =>
    estimate({ ...sizes, pods }).find((each) => each.phase === phase)?.toSeconds ?? 0
  t.true(of('drain', 200) > of('drain', 20))
  t.true(of('resume', 200) > of('resume', 20))
})

test('the API is down from shutdown to provision, and not longer than the evening', (t) => {
  const { evening, downtime } = totals(estimate(sizes))
  t.true(downtime.toSeconds < evening.toSeconds)
  t.true(downtime.fromSeconds >= 600)
})
