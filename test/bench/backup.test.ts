import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import * as z from 'zod'
import { findKubectl } from '../../bench/backup/contenders.ts'
import { measure, TooMuchMemory } from '../../bench/backup/measure.ts'
import { casesOf } from '../../bench/backup/result.ts'
import { scratchFolder } from '../backup/keys.ts'

const line = z.strictObject({
  bench: z.literal('backup'),
  cases: z.array(
    z.object({
      name: z.string(),
      seconds: z.number().positive(),
      peakMemoryMB: z.number().positive(),
      bytes: z.number(),
      objectsPerSecond: z.number(),
      ratios: z.record(z.string(), z.number()),
    }),
  ),
})

test('on a small cluster the bench measures every contender, and its last line is one JSON object', async (t) => {
  const kubectl = join(await scratchFolder(t), 'kubectl')
  await writeFile(kubectl, '#!/bin/sh\nsleep 0.1\necho "{}"\n')
  await chmod(kubectl, 0o755)
  const { code, output, progress } = await bench({ KUBECTL: kubectl }, '--objects', '200', '--rounds', '1', '--json')
  t.is(code, 0, progress)
  const { cases } = line.parse(JSON.parse(output.trimEnd().split('\n').at(-1) ?? ''))
  t.deepEqual(
    cases.map(({ name }) => name),
    ['ours', 'floor', 'kubectl json', 'kubectl yaml', 'guide'].map((name) => `${name}, 200 objects`),
  )
  t.deepEqual(Object.keys(cases[0]?.ratios ?? {}), ['floor', 'kubectl json', 'kubectl yaml', 'guide'])
  t.true((cases[0]?.bytes ?? 0) > 10_000)
})

test('sizes that do not grow are refused', async (t) => {
  const { code, progress } = await bench({}, '--objects', '2000,200')
  t.is(code, 2)
  t.regex(progress, /no list of numbers/)
})

test('a kubectl that is not there is none', (t) => {
  t.is(findKubectl({ KUBECTL: '/nowhere/kubectl' }), undefined)
})

test('a contender is measured with all that it writes, and taken away', async (t) => {
  const folder = await scratchFolder(t)
  const shell = (script: string) => ({
    name: 'x',
    commands: (into: string) => [sh(script, into), sh('sleep 0.05', into)],
  })
  const sh = (script: string, into: string) => ({ program: 'sh', args: ['-c', script, 'sh', into] })
  const { bytes, peakMemoryMB } = await measure(shell('echo 1234; echo 12345 > "$1/file"; sleep 0.05'), folder)
  t.is(bytes, 11)
  t.true(peakMemoryMB > 0)
  await t.throwsAsync(measure(shell('echo "no such thing" >&2; exit 3'), folder), { message: /3: no such thing/ })
  await t.throwsAsync(measure(shell('exec sleep 60'), folder, 0.001), { instanceOf: TooMuchMemory })
  t.deepEqual(await readdir(folder), [])
})

test('a case holds the medians, and how many times as fast it is as the others', (t) => {
  const took = (seconds: number) => ({ seconds, peakMemoryMB: 10 * seconds, bytes: 5 })
  const rounds = new Map([
    ['ours', [took(9), took(2), took(1)]],
    ['slow', [took(20), took(10), took(10)]],
  ])
  t.deepEqual(
    casesOf(100, rounds).map(({ seconds, peakMemoryMB, objectsPerSecond, ratios }) => [
      seconds,
      peakMemoryMB,
      objectsPerSecond,
      ratios,
    ]),
    [
      [2, 20, 50, { slow: 5 }],
      [10, 100, 10, { ours: 0.2 }],
    ],
  )
})

async function bench(environment: NodeJS.ProcessEnv, ...args: string[]) {
  const program = new URL('../../bench/backup.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import=tsx', program, ...args], { env: { ...process.env, ...environment } })
  let output = ''
  let progress = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    progress += chunk
  })
  const [code] = await once(child, 'close')
  return { code: code as number, output, progress }
}
