import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'
import { casesOf, nothing } from '../../bench/startup/result.ts'
import { start } from '../../bench/startup/start.ts'

const took = (seconds: number, cpuSeconds: number) => ({ seconds, cpuSeconds, peakMemoryMB: 40 })

test('what is ours of a start is what it takes beyond a Node that does nothing', (t) => {
  const taken = new Map([
    [nothing, [took(0.1, 0.07), took(0.2, 0.08), took(0.3, 0.09)]],
    ['task migrate:status', [took(0.4, 0.3), took(0.9, 0.28), took(0.5, 0.31)]],
  ])
  const cases = casesOf(taken)
  t.deepEqual(
    cases.map(({ name, seconds, ownSeconds, ratios }) => [name, seconds, ownSeconds, ratios]),
    [
      [nothing, 0.2, 0, { 'task migrate:status': 2.5 }],
      ['task migrate:status', 0.5, 0.22, { [nothing]: 0.4 }],
    ],
  )
})

test('the processes that a command starts count with it', async (t) => {
  const busy = 'const end = Date.now() + 300; while (process.cpuUsage().user < 300000 && Date.now() < end + 60000);'
  const command = (program: string, args: string[]) => ({
    ...{ name: program, program, args, folder: process.cwd(), environment: process.env },
  })
  const took = await start(command('sh', ['-c', `'${process.execPath}' -e '${busy}'; true`]))
  t.true(took.cpuSeconds >= 0.3, `${took.cpuSeconds}`)
  t.true(took.peakMemoryMB > 20, `${took.peakMemoryMB}`)
})

test('rounds that are no number are refused before anything is started', async (t) => {
  const program = new URL('../../bench/startup.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import=tsx', program, '--rounds', 'many'])
  const [code] = await once(child, 'close')
  t.is(code, 2)
})
