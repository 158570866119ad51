import test from 'ava'
import type { EarlierRun } from '../../lib/migration/earlier-runs.ts'
import { rehearsedOf } from '../../lib/report/rehearsed.ts'
import { change, phase, recordsAt, run, wait } from './records.ts'

function kept(kind: EarlierRun['kind'], scenario: string, at: string): EarlierRun {
  const records = recordsAt(
    [0, run],
    [1, phase('shutdown', 'begin')],
    [3, change(1, 'shutdown', 'Shut down', 'power')],
    [5, { type: 'phase', phase: 'shutdown', state: 'done', seconds: 4 }],
    [13, wait('provision', '', 'the Kubernetes API is ready at https://192.0.2.1:6443', 3)],
  )
  return { kind, id: at, cluster: 'rehearsal', scenario, at, records }
}

test('the newest rehearsal of the same scenario stands beside a run, with its phases and its time without API', (t) => {
  const all = [
    kept('evening', 'A', '2026-11-23T20:00:00Z'),
    kept('rehearsal', 'B', '2026-11-22T20:00:00Z'),
    kept('rehearsal', 'A', '2026-11-21T20:00:00Z'),
    kept('rehearsal', 'A', '2026-11-20T20:00:00Z'),
  ]
  t.deepEqual(rehearsedOf(all, 'A'), {
    at: '2026-11-21 20:00',
    phases: [{ name: 'shutdown', seconds: 4 }],
    outage: 10,
  })
  t.is(rehearsedOf(all, 'C'), null)
})
