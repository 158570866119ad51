import test from 'ava'
import { outages } from '../../lib/kubernetes/availability.ts'
import { divideDowntime } from '../../lib/rehearsal/downtime.ts'

const event = (at: number, name: string) => ({ at, event: name })

test('an outage lasts from the last good look to the next good one', (t) => {
  const samples = [true, true, false, false, true, false, true].map((up, i) => ({ at: i * 100, up }))
  t.deepEqual(outages(samples), [
    { from: 100, to: 400 },
    { from: 400, to: 600 },
  ])
})

test('looks that were answered out of order are put in order first', (t) => {
  const samples = [
    { at: 200, up: true },
    { at: 100, up: false },
    { at: 0, up: true },
  ]
  t.deepEqual(outages(samples), [{ from: 0, to: 200 }])
})

test('an outage that has not ended lasts until the last look', (t) => {
  t.deepEqual(
    outages([
      { at: 0, up: true },
      { at: 100, up: false },
      { at: 200, up: false },
    ]),
    [{ from: 0, to: 200 }],
  )
})

test('the outage is divided among the machine, the operator and us, and nothing of it is left over', (t) => {
  const downtime = divideDowntime([{ from: 1000, to: 31_000 }], {
    old: [event(0, 'node-ready'), event(900, 'shutdown-requested'), event(3000, 'stopped')],
    provenOff: 5000,
    replacement: [
      event(8000, 'power-on'),
      event(10_000, 'maintenance-ready'),
      event(11_000, 'config-applied'),
      event(14_000, 'booted'),
      event(16_000, 'recover-uploaded'),
      event(16_500, 'bootstrap-requested'),
      event(24_000, 'etcd-ready'),
      event(30_000, 'apiserver-ready'),
    ],
  })
  t.is(downtime.seconds, 30)
  t.deepEqual(
    downtime.slices.map(({ of, seconds }) => [of, seconds]),
    [
      ['machine', 2],
      ['ours', 2],
      ['operator', 3],
      ['machine', 2],
      ['ours', 1],
      ['machine', 3],
      ['ours', 2.5],
      ['machine', 7.5],
      ['machine', 7],
    ],
  )
  t.is(downtime.ours, 5.5)
  t.is(
    downtime.slices.reduce((sum, { seconds }) => sum + seconds, 0),
    downtime.seconds,
  )
})

test('an event that is missing gives its time to the next', (t) => {
  const { slices } = divideDowntime([{ from: 0, to: 10_000 }], {
    old: [],
    provenOff: undefined,
    replacement: [event(4000, 'power-on')],
  })
  t.deepEqual(slices, [
    { what: 'the operator swaps the hardware', of: 'operator', seconds: 4 },
    { what: 'Kubernetes API ready', of: 'machine', seconds: 6 },
  ])
})

test('an API that was never down has no downtime', (t) => {
  t.deepEqual(divideDowntime([], { old: [], replacement: [], provenOff: undefined }), {
    seconds: 0,
    slices: [],
    ours: 0,
  })
})
