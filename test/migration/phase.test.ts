import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import anyTest from 'ava'
import { Interrupted, OperatorError } from '../../lib/migration/errors.ts'
import { newFolder, runIn } from './run-in-folder.ts'

// One after the other: every phase listens for the signals of this process.
const test = anyTest.serial
const nothing = async () => {}

async function backedUp(): Promise<string> {
  const folder = newFolder()
  await runIn(folder, 'backup', nothing)
  return folder
}

test('a phase that is done is journaled, and says what comes next', async (t) => {
  const folder = newFolder()
  const { code, lines } = await runIn(folder, 'backup', nothing)
  t.is(code, 0)
  t.true(lines.includes('info Next: task migrate:drain'))
  t.regex(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), /"phase":"backup","state":"done"/)
})

test('the run folder is for its owner alone', async (t) => {
  const folder = await backedUp()
  t.is(statSync(join(folder, 'output/current')).mode & 0o777, 0o700)
  t.is(statSync(join(folder, 'output/current/journal.jsonl')).mode & 0o777, 0o600)
  t.is(statSync(join(folder, 'output/current/log.txt')).mode & 0o777, 0o600)
})

test('after a failure the same phase goes on: steps that were done are passed over and give their result again', async (t) => {
  const folder = newFolder()
  const called: string[] = []
  const results: unknown[] = []
  const body = (fail: boolean) => async (migration: Parameters<Parameters<typeof runIn>[2]>[0]) => {
    results.push(
      await migration.step('First', async () => {
        called.push('first')
        return { path: 'x' }
      }),
    )
    await migration.step('Second', async () => {
      called.push('second')
      if (fail) throw new OperatorError('It broke.', { next: 'Mend it.' })
    })
  }
  const first = await runIn(folder, 'backup', body(true))
  t.is(first.code, 1)
  t.true(first.lines.includes('error It broke.  Mend it.'))
  const second = await runIn(folder, 'backup', body(false))
  t.is(second.code, 0)
  t.deepEqual(called, ['first', 'second', 'second'])
  t.deepEqual(results, [{ path: 'x' }, { path: 'x' }])
})

test('a completed phase that changes the cluster is not done twice', async (t) => {
  const folder = await backedUp()
  await runIn(folder, 'drain', nothing)
  const { code, lines } = await runIn(folder, 'drain', async () => t.fail())
  t.is(code, 0)
  t.regex(lines.join('\n'), /migrate:drain was done at .* nothing is left to do/)
})

test('a drain that was resumed from can be done again, and then resumed again', async (t) => {
  const folder = await backedUp()
  let drains = 0
  let resumes = 0
  const drain = async () => void drains++
  const resume = async () => void resumes++
  for (const _round of [1, 2]) {
    await runIn(folder, 'drain', drain)
    await runIn(folder, 'resume', resume)
  }
  t.is(drains, 2)
  t.is(resumes, 2)
})

test('a phase out of order is refused before anything is done', async (t) => {
  const folder = await backedUp()
  const { code, lines } = await runIn(folder, 'shutdown', async () => t.fail())
  t.is(code, 1)
  t.regex(lines.join('\n'), /migrate:shutdown comes after migrate:drain.*task migrate:drain/)
})

test('the undo data of a change is on the disk before the change is made', async (t) => {
  const folder = await backedUp()
  await runIn(folder, 'drain', async (migration) => {
    await migration.change('scale plex to 0', {
      undo: { kind: 'scale', replicas: 3 },
      apply: async () => {
        const journal = readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8')
        t.regex(journal, /"what":"scale plex to 0","undo":\{"kind":"scale","replicas":3\}\}\n$/)
      },
    })
  })
})

test('a change that was begun before keeps its first undo data', async (t) => {
  const folder = await backedUp()
  const scaleFrom = (replicas: number, apply: () => Promise<void>) =>
    runIn(folder, 'drain', async (migration) => {
      await migration.change('scale plex to 0', { undo: { kind: 'scale', replicas }, apply })
      t.deepEqual(
        migration.journal.changes({ kind: 'scale' }).map(({ undo }) => undo),
        [{ kind: 'scale', replicas: 3 }],
      )
    })
  await scaleFrom(3, async () => {
    throw new OperatorError('power cut')
  })
  await scaleFrom(0, nothing)
})

test('a dry run changes nothing, journals nothing and takes no lock', async (t) => {
  const folder = newFolder()
  const { code, lines } = await runIn(
    folder,
    'drain',
    async (migration) => {
      const result = await migration.step('Scale down', async () => {
        await migration.change('scale plex to 0', { apply: async () => t.fail() })
      })
      t.is(result, undefined)
    },
    ['--dry-run'],
  )
  t.is(code, 0)
  t.true(lines.includes('change scale plex to 0 would be made'))
  t.false(existsSync(join(folder, 'output')))
})

test('an undone change is not undone again, and a conflict is shown and left alone', async (t) => {
  const folder = await backedUp()
  await runIn(folder, 'drain', async (migration) => {
    for (const what of ['scale a to 0', 'scale b to 0'])
      await migration.change(what, { undo: { kind: 'scale' }, apply: nothing })
  })
  const { lines } = await runIn(folder, 'resume', async (migration) => {
    const [a, b] = migration.journal.changes({ kind: 'scale' })
    if (!a || !b) return t.fail()
    await migration.undo(a, async () => 'undone')
    await migration.undo(b, async () => 'conflict: it has 5 replicas now')
    for (const change of migration.journal.changes({ kind: 'scale' }).filter(({ state }) => state === 'undone')) {
      await migration.undo(change, async () => t.fail() as never)
    }
  })
  t.true(lines.includes('change scale a to 0 undone'))
  t.regex(lines.join('\n'), /warn scale b to 0 was not undone, conflict: it has 5 replicas now/)
})

test('an unknown flag, and a variable behind the dashes, are wrong usage', async (t) => {
  t.is((await runIn(newFolder(), 'drain', nothing, ['--dryrun'])).code, 2)
  const { code, lines } = await runIn(newFolder(), 'drain', nothing, ['DRY_RUN=true'])
  t.is(code, 2)
  t.regex(lines.join('\n'), /stands after the dashes/)
})

test('an unexpected error is reported as a bug with its stack, exit code 1', async (t) => {
  const { code, lines } = await runIn(newFolder(), 'backup', async () => {
    throw new TypeError('x is not a function')
  })
  t.is(code, 1)
  t.regex(lines.join('\n'), /bug TypeError/)
})

test('when verify passes after resume the run is over, and the next backup begins a new one', async (t) => {
  const folder = await backedUp()
  for (const phase of ['drain', 'resume', 'verify', 'plan', 'verify']) await runIn(folder, phase, nothing)
  t.is(readdirSync(join(folder, 'output/runs')).length, 1)
  await runIn(folder, 'backup', nothing)
  t.is(readdirSync(join(folder, 'output/runs')).length, 2)
})

test('a run of another scenario in the same folder is refused', async (t) => {
  const folder = await backedUp()
  const { code, lines } = await runIn(folder, 'drain', async () => t.fail(), [], { SCENARIO: 'B' })
  t.is(code, 2)
  t.regex(lines.join('\n'), /SCENARIO=A, not of/)
})

test('a phase that the evening of a scenario does not have is refused before anything is touched', async (t) => {
  const folder = newFolder()
  t.is((await runIn(folder, 'backup', nothing, [], { SCENARIO: 'C' })).code, 0)
  const { code, lines } = await runIn(folder, 'drain', async () => t.fail(), [], { SCENARIO: 'C' })
  t.is(code, 2)
  t.regex(lines.join('\n'), /migrate:drain belongs to SCENARIO=A or B, and this is SCENARIO=C/)
})

test('what is to be typed after a dry run is what was typed, without --dry-run', async (t) => {
  const { lines } = await runIn(newFolder(), 'plan', async () => undefined, ['--dry-run', '--verbose'])
  t.true(lines.includes('info Nothing was changed. To do it: task migrate:plan -- --verbose'), lines.join('\n'))
})

test('what only watches may be done at any time, and the journal does not tell of it', async (t) => {
  const folder = await backedUp()
  const watching = async () => {
    throw new Interrupted('watching')
  }
  const journal = readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8')
  t.is((await runIn(folder, 'verify', watching, ['--watch'], {}, { watch: 'boolean' })).code, 130)
  t.is(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), journal)
  t.is((await runIn(folder, 'verify', watching, [], {}, { watch: 'boolean' })).code, 1, 'and else it is not its turn')
})
