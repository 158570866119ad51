import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { beginBackup } from '../../lib/backup/begin.ts'
import { isNameOf } from '../../lib/backup/unfinished.ts'
import { markWriter } from '../../lib/backup/writer.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { startOf } from '../../lib/migration/lock.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { runPhase } from '../../lib/migration/phase.ts'
import { environmentIn, listeningConsole } from '../migration/run-in-folder.ts'
import { makeKeys, operatorWho, scratchFolder } from './keys.ts'

const dead = 'catalyst-cluster-20251204T190000Z.partial'
const deadFinal = 'catalyst-cluster-20251204T190001Z-final.partial'
const foreign = 'catalyst-cluster-2-20251204T190000Z.partial'

async function shelf(t: ExecutionContext, names: string[] = [dead, deadFinal, foreign]) {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  const backupDir = join(folder, 'backup')
  for (const name of names) {
    mkdirSync(join(backupDir, name), { recursive: true })
    writeFileSync(join(backupDir, name, 'noise'), Buffer.alloc(1_500_000))
  }
  const begin = async (args: string[], ...answers: string[]) => {
    const console = listeningConsole()
    const prompt = operatorWho(...answers)
    const body = async (migration: Migration) => void (await beginBackup(migration))
    const environment = { ...environmentIn(folder), AGE_RECIPIENTS: keys.recipient }
    const clock = { ...systemClock, now: () => new Date('2025-12-04T20:30:00Z') }
    const exit = () => {
      throw new Error('exit')
    }
    const surroundings = { args, environment, clock, exit, console, prompt }
    const code = await runPhase({ name: 'backup', body, flags: { clean: 'boolean' } }, surroundings)
    return { code, lines: console.lines, asked: prompt.asked }
  }
  return {
    backupDir,
    begin,
    left: () =>
      readdirSync(backupDir)
        .filter((name) => names.includes(name))
        .sort(),
  }
}

test('each is named with its size and age, and the operator is asked', async (t) => {
  const { backupDir, begin, left } = await shelf(t)
  const { code, lines, asked } = await begin([], 'n')
  t.is(code, 0)
  t.true(
    lines.includes(`warn ${join(backupDir, dead)} (1.5 MB, begun 1h 30m ago) was never finished and is no backup.`),
    lines.join('\n'),
  )
  t.true(
    lines.some(
      (line) =>
        line.startsWith('warn') && line.includes(foreign) && line.includes('of another cluster, and left alone'),
    ),
  )
  t.deepEqual(asked, ['Remove these 2 (3.0 MB)?'])
  t.is(left().length, 3)
})

test("yes removes this cluster's, and never another's", async (t) => {
  const { begin, left } = await shelf(t)
  const { lines } = await begin([], 'y')
  t.deepEqual(left(), [foreign])
  t.true(lines.some((line) => line.startsWith('change Remove the unfinished backup') && line.endsWith('made')))
})

test('without a terminal they stay, and the flag is told; with the flag nobody is asked', async (t) => {
  const { begin, left } = await shelf(t)
  const { lines } = await begin([])
  t.is(left().length, 3)
  t.true(lines.some((line) => line.startsWith('info') && line.includes('task migrate:backup -- --clean')))
  const again = await shelf(t)
  const { asked } = await again.begin(['--clean'], 'n')
  t.deepEqual(asked, [])
  t.deepEqual(again.left(), [foreign])
})

test('a dry run asks nobody and says what the flag would do', async (t) => {
  const { begin, left } = await shelf(t)
  t.deepEqual((await begin(['--dry-run'], 'y')).asked, [])
  const { lines } = await begin(['--dry-run', '--clean'])
  t.is(
    lines.filter((line) => line.startsWith('change Remove the unfinished backup') && line.endsWith('would be made'))
      .length,
    2,
  )
  t.is(left().length, 3)
})

test('what a living process writes is left alone, whatever the operator says; what a dead one has left is not', async (t) => {
  const { backupDir, begin, left } = await shelf(t, [dead])
  await markWriter(join(backupDir, dead))
  const { lines, asked } = await begin(['--clean'], 'y')
  t.deepEqual(asked, [])
  t.deepEqual(left(), [dead])
  t.true(lines.some((line) => line.includes(`is being written by process ${process.pid} of`)))

  const gone = spawn('true')
  const started = startOf(gone.pid ?? 0)
  await new Promise((resolve) => gone.once('exit', resolve))
  const mark = { host: hostname(), user: 'x', pid: gone.pid, started: started ?? 'unknown' }
  const other = await shelf(t, [dead])
  writeFileSync(join(other.backupDir, dead, 'writer.json'), JSON.stringify(mark))
  await other.begin(['--clean'])
  t.deepEqual(other.left(), [])
})

test('of a writer on another machine nothing is known, so it is taken for alive, and the way out is told', async (t) => {
  const { backupDir, begin, left } = await shelf(t, [dead])
  const mark = { host: 'another-machine', user: 'x', pid: process.pid, started: 'x' }
  writeFileSync(join(backupDir, dead, 'writer.json'), JSON.stringify(mark))
  const { lines } = await begin(['--clean'])
  t.deepEqual(left(), [dead])
  t.true(lines.some((line) => line.includes('x@another-machine') && line.includes(`rm -r ${join(backupDir, dead)}`)))
})

test('this run, while it writes, is seen as alive by another of the same cluster', async (t) => {
  const { backupDir, begin } = await shelf(t, [])
  await begin([])
  const [own] = readdirSync(backupDir)
  t.true(existsSync(join(backupDir, own ?? '', 'writer.json')))
})

test('a name is of the cluster whose whole name it begins with', (t) => {
  t.true(isNameOf('a', 'a-20251204T190000Z'))
  t.true(isNameOf('a-b', 'a-b-20251204T190000Z-final'))
  for (const name of [
    'a-b-20251204T190000Z',
    'a',
    'a-',
    'a-20251204',
    'a-20251204T190000Z-copy',
    'xa-20251204T190000Z',
  ]) {
    t.false(isNameOf('a', name), name)
  }
})
