import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { durations, swap } from '../../lib/migration/durations.ts'
import { earlierRuns, keepRun } from '../../lib/migration/earlier-runs.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { newMachineThere } from '../../lib/talos/new-machine.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { phase, recordsAt, run, wait } from '../report/records.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { newFolder, runIn } from './run-in-folder.ts'

function journalIn(folder: string, name: string, at: string): string {
  const path = join(folder, name)
  writeFileSync(path, `${JSON.stringify({ at, ...run, id: name })}\n`)
  return path
}

test('the newest ten of each kind are kept, readable by their owner alone, and a later copy takes the place of an earlier', (t) => {
  const folder = temporaryFolder('earlier')
  const kept = join(folder, 'kept')
  for (let day = 10; day < 25; day++) {
    const path = journalIn(folder, `202611${day}`, `2026-11-${day}T20:00:00Z`)
    keepRun(kept, 'evening', `202611${day}`, path)
    keepRun(kept, 'evening', `202611${day}`, path)
  }
  keepRun(kept, 'rehearsal', '20261112', join(folder, '20261112'))
  const runs = earlierRuns(kept)
  t.deepEqual(
    runs.map(({ kind, id }) => `${kind} ${id.slice(-2)}`),
    [24, 23, 22, 21, 20, 19, 18, 17, 16, 15].map((day) => `evening ${day}`).concat('rehearsal 12'),
  )
  t.is(readdirSync(join(kept, 'evenings')).length, 10)
  t.is(statSync(join(kept, 'evenings/20261124.jsonl')).mode & 0o777, 0o600)
  t.is(statSync(kept).mode & 0o777, 0o700)
})

test('where nothing was kept there is nothing, and what is no journal is passed over', (t) => {
  const folder = temporaryFolder('earlier')
  t.deepEqual(earlierRuns(join(folder, 'nowhere')), [])
  mkdirSync(join(folder, 'evenings'))
  writeFileSync(join(folder, 'evenings/broken.jsonl'), 'no journal')
  t.deepEqual(earlierRuns(folder), [])
})

test('a phase that was done is kept with its run at once; a dry run and a phase that no journal tells of are not', async (t) => {
  const folder = newFolder()
  const kept = () => earlierRuns(join(folder, 'runs')).map(({ records }) => [...durations(records).keys()])
  await runIn(folder, 'backup', async () => undefined, ['--dry-run'])
  await runIn(folder, 'status', async () => undefined)
  t.deepEqual(kept(), [])
  await runIn(folder, 'backup', async () => undefined)
  t.deepEqual(kept(), [['backup']])
})

test('a folder that cannot be written to is said, and fails nothing', async (t) => {
  const folder = newFolder()
  writeFileSync(join(folder, 'runs'), 'a file')
  const { code, lines } = await runIn(folder, 'backup', async () => undefined)
  t.is(code, 0)
  t.true(lines.some((line) => /^warn How long it took is not kept .*EARLIER_RUNS_DIR/.test(line)))
})

const took = (name: string, state: 'done' | 'interrupted', seconds: number) =>
  ({ type: 'phase', phase: name, state, seconds }) as const

test('a phase has the time of all attempts at it since it was begun anew, and one that is not done has none', (t) => {
  const records = recordsAt(
    [0, run],
    [1, phase('backup', 'begin')],
    [9, took('backup', 'done', 8)],
    [10, phase('backup', 'begin')],
    [13, took('backup', 'interrupted', 3)],
    [20, phase('backup', 'resume')],
    [24, took('backup', 'done', 4)],
    [25, phase('drain', 'begin')],
    [35, took('drain', 'interrupted', 10)],
  )
  t.deepEqual([...durations(records)], [['backup', 7]])
})

test('the time in which the hardware is swapped is no time of provision', (t) => {
  const condition = newMachineThere(
    testMigration().migration,
    {} as never,
    parseAddress('192.0.2.7', 'TEST'),
    {} as never,
  )
  const records = recordsAt(
    [0, run],
    [90, phase('shutdown', 'begin')],
    [100, took('shutdown', 'done', 10)],
    [160, phase('provision', 'begin')],
    [700, wait('provision', 'Give the new machine its config', condition.name, 540)],
    [760, took('provision', 'done', 600)],
  )
  t.deepEqual(Object.fromEntries(durations(records)), { shutdown: 10, provision: 60, [swap]: 600 })
})
