import test from 'ava'
import { faults } from '../../../lib/rehearsal/faults/fault.ts'
import { placesOf } from '../../../lib/rehearsal/faults/places.ts'
import { groupSize, groupsOf } from '../../../lib/rehearsal/faults/seed.ts'

const seeds = (first: number, count: number) => groupsOf(first, count).flatMap((group) => group.seeds)

test('a seed is the same whichever seeds it is played with', (t) => {
  const all = seeds(1, 40)
  t.deepEqual(seeds(13, 5), all.slice(10, 17), 'its group is taken from its beginning')
  t.deepEqual(
    all.map(({ number }) => number),
    Array.from({ length: 40 }, (_, i) => i + 1),
  )
})

test('the seeds of a group strike in the order of the evening', (t) => {
  for (const { scenario, seeds } of groupsOf(1, 200)) {
    const order = seeds.map(({ place }) =>
      placesOf(scenario).findIndex(({ phase, step }) => phase === place.phase && step === place.step),
    )
    t.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    )
    t.is(seeds.length, groupSize)
  }
})

test('among 200 seeds is every scenario, every fault, every place, and both actions', (t) => {
  const groups = groupsOf(1, 200)
  const all = groups.flatMap(({ scenario, seeds }) => seeds.map((seed) => ({ scenario, ...seed })))
  t.deepEqual(new Set(all.map(({ scenario }) => scenario)), new Set(['A', 'B', 'C']))
  t.deepEqual(
    faults.filter((fault) => !all.some((seed) => seed.fault === fault)).map(({ name }) => name),
    [],
  )
  const places = placesOf('A').filter(({ step }) => !all.some(({ place }) => place.step === step))
  t.deepEqual(places, [])
  t.deepEqual(new Set(all.map(({ action }) => action)), new Set(['again', 'rollback']))
  t.true(all.some(({ inRollback }) => inRollback))
})

test('no fault strikes where there is nothing for it to strike', (t) => {
  for (const { fault, place, inRollback } of seeds(1, 400)) t.true(fault.strikes(place, inRollback), fault.name)
})

test('scenario C, which no rollback takes back, is only ever gone on with', (t) => {
  const growing = groupsOf(1, 200).filter(({ scenario }) => scenario === 'C')
  for (const { action, inRollback } of growing.flatMap((group) => group.seeds)) {
    t.is(action, 'again')
    t.false(inRollback)
  }
})
