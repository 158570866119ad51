import test from 'ava'
import { commonOutages } from '../../lib/kubernetes/availability.ts'

const looks = (pattern: string) => ({ samples: [...pattern].map((each, i) => ({ at: i * 100, up: each === '+' })) })

test('several API servers are away together only where the outages of all of them overlap', (t) => {
  t.deepEqual(commonOutages([looks('+--+++++'), looks('++++--++')]), [])
  t.deepEqual(commonOutages([looks('++----++'), looks('++++--++')]), [{ from: 300, to: 600 }])
  t.deepEqual(commonOutages([looks('+--+--+'), looks('+-----+')]), [
    { from: 0, to: 300 },
    { from: 300, to: 600 },
  ])
})

test('one of them that never is away leaves no outage, and nobody watched none', (t) => {
  t.deepEqual(commonOutages([looks('+----+'), looks('++++++')]), [])
  t.deepEqual(commonOutages([]), [])
})
