import test from 'ava'
import { casesOf } from '../../bench/verify/result.ts'

test('all checks are held against the slowest of them alone, and against the guide, by their medians', (t) => {
  const took = (...seconds: number[]) => seconds.map((each) => ({ seconds: each, peakMemoryMB: 10 * each }))
  const cases = casesOf(
    new Map([
      ['Storage', took(0.1, 0.1, 9)],
      ['Talos and etcd', took(1, 0.9, 1.1)],
      ['all checks', took(1.1, 1.1, 1.1)],
      ['the guide', took(6, 6.6, 7)],
    ]),
  )
  t.deepEqual(
    cases.map(({ name, seconds, ratios }) => [name, seconds, ratios]),
    [
      ['Storage', 0.1, {}],
      ['Talos and etcd', 1, {}],
      ['all checks', 1.1, { 'the slowest of them': 0.91, 'the guide': 6 }],
      ['the guide', 6.6, {}],
    ],
  )
})
