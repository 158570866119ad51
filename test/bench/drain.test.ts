import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'
import { casesOf } from '../../bench/drain/result.ts'

test('a case holds the medians, and how many times as fast it is as the others', (t) => {
  const took = (seconds: number) => ({ seconds, peakMemoryMB: 10 * seconds, bytes: 0 })
  const rounds = new Map([
    ['ours', [took(9), took(2), took(1)]],
    ['kubectl', [took(5)]],
  ])
  t.deepEqual(
    casesOf('110 pods', rounds).map(({ name, seconds, peakMemoryMB, ratios }) => [name, seconds, peakMemoryMB, ratios]),
    [
      ['ours, 110 pods', 2, 20, { kubectl: 2.5 }],
      ['kubectl, 110 pods', 5, 50, { ours: 0.4 }],
    ],
  )
})

test('rounds that are no number are refused before a cluster is started', async (t) => {
  const program = new URL('../../bench/drain.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import=tsx', program, '--rounds', 'many'])
  const [code] = await once(child, 'close')
  t.is(code, 2)
})
