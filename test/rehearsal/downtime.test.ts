import test from 'ava'
import { outages } from '../../lib/kubernetes/availability.ts'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { divideDowntime, momentsOf } from '../../lib/rehearsal/downtime.ts'
import { machineRuns, newMachineThere } from '../../lib/talos/new-machine.ts'

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
    seenWaiting: 10_800,
    seenRunning: 14_500,
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
      ['ours', 0.8],
      ['ours', 0.2],
      ['machine', 3],
      ['ours', 0.5],
      ['ours', 2],
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
    ...momentsOf([]),
    replacement: [event(4000, 'power-on')],
  })
  t.deepEqual(slices, [
    { what: 'the operator swaps the hardware', of: 'operator', seconds: 4 },
    { what: 'the API server starts', of: 'machine', seconds: 6 },
  ])
})

test('an API that was never down has no downtime', (t) => {
  t.deepEqual(divideDowntime([], { old: [], replacement: [], ...momentsOf([]) }), {
    seconds: 0,
    slices: [],
    ours: 0,
  })
})

test('what the run came to know, and when, is read off its journal by the names of its waits', (t) => {
  const address = parseAddress('127.0.0.1', 'the test')
  const names = [
    newMachineThere({ settings: { machineTimeout: 1 } } as never, {} as never, address, {} as never).name,
    machineRuns({} as never, address, { uuid: null, macs: [] }, 1).name,
  ]
  const waits = names.map((name, second): JournalRecord => {
    const at = new Date(second * 1000).toISOString()
    return { type: 'wait', at, phase: 'provision', step: '', name, seconds: 1, met: true }
  })
  const off: JournalRecord = { type: 'phase', at: new Date(9000).toISOString(), phase: 'shutdown', state: 'done' }
  t.deepEqual(momentsOf([...waits, off]), { provenOff: 9000, seenWaiting: 0, seenRunning: 1000 })
  const first = waits[0] as JournalRecord & { type: 'wait' }
  t.is(momentsOf([{ ...first, met: false }]).seenWaiting, undefined, 'one that was in vain tells nothing')
})
