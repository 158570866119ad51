import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import anyTest from 'ava'
import { runChain } from '../../lib/migration/chain.ts'
import { systemClock } from '../../lib/migration/clock.ts'
import { Interrupted } from '../../lib/migration/errors.ts'
import { comesAfter, evening, isOver, leftToDo } from '../../lib/migration/evening.ts'
import { Journal } from '../../lib/migration/journal.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import { type Phase, phaseNamed, rolledBack, type Scenario } from '../../lib/migration/phases.ts'
import { environmentIn, listeningConsole, newFolder, runIn } from './run-in-folder.ts'

// One after the other: every phase listens for the signals of this process.
const test = anyTest.serial
const nothing = async () => {}

function journalWith(...done: string[]): Journal {
  const journal = Journal.inMemory(null, () => new Date())
  for (const phase of done) {
    journal.append({ type: 'phase', phase, state: 'begin' })
    journal.append({ type: 'phase', phase, state: 'done' })
  }
  return journal
}

const before = (name: string, scenario: Scenario) => comesAfter(phaseNamed(name) as Phase, scenario)

test('each phase comes after the one before it that changes something, and resume after drain, whatever lies between', (t) => {
  t.is(before('backup', 'A'), undefined)
  t.is(before('drain', 'A'), 'backup')
  t.is(before('shutdown', 'A'), 'drain')
  t.is(before('provision', 'A'), 'shutdown')
  t.is(before('resume', 'A'), 'drain')
  t.is(before('resume', 'B'), 'drain')
  t.is(before('evacuate', 'A'), undefined)
})

test('a scenario has its own phases only', (t) => {
  const names = (scenario: Scenario) => evening(scenario).map(({ name }) => name)
  t.deepEqual(names('A'), ['plan', 'preflight', 'backup', 'drain', 'shutdown', 'provision', 'resume', 'verify'])
  t.false(names('C').includes('drain'))
})

test('what is left to do is what follows a phase that stands', (t) => {
  t.deepEqual(leftToDo('A', journalWith()), [])
  t.deepEqual(leftToDo('A', journalWith('backup')), ['drain'])
  t.deepEqual(leftToDo('A', journalWith('backup', 'drain')), ['shutdown', 'resume'])
  t.deepEqual(leftToDo('A', journalWith('backup', 'drain', 'shutdown', 'provision')), ['resume'])
})

test('the evening is over when it is migrated, or called off; not after a backup alone', (t) => {
  t.true(isOver('A', journalWith('backup', 'drain', 'shutdown', 'provision', 'resume')))
  t.true(isOver('A', journalWith('backup', 'drain', 'resume')), 'called off')
  t.true(isOver('A', journalWith('provision', 'resume')), 'on another computer, with a snapshot')
  t.false(isOver('A', journalWith('backup')))
  t.false(isOver('A', journalWith('backup', 'drain', 'resume', 'drain')), 'drained once more')
  t.false(isOver('A', journalWith('backup', 'drain', 'shutdown', 'provision')))
  t.false(isOver('A', journalWith('backup', 'drain', 'shutdown', 'resume')), 'the new machine is still to come')
})

test('a phase that belongs to another scenario is refused, and a scenario B without its address', async (t) => {
  const other = await runIn(newFolder(), 'drain', async () => t.fail(), ['--dry-run'], { SCENARIO: 'C' })
  t.is(other.code, 2)
  const { code, lines } = await runIn(newFolder(), 'drain', async () => t.fail(), [], { SCENARIO: 'B' })
  t.is(code, 2)
  t.regex(lines.join('\n'), /NEW_TALOS_NODE is not set/)
})

test("a chain runs the scenario's phases of those that it has, and tells what is to do before one of them only", async (t) => {
  const folder = newFolder()
  const called: string[] = []
  const link = (name: string) => ({ name, flags: {}, body: async () => void called.push(name) })
  const told = (name: string) => ({ pauseBefore: name, inShort: '', tell: () => void called.push(`tell ${name}`) })
  const console = listeningConsole()
  const exit = (code: number): never => {
    throw new Error(`exit ${code}`)
  }
  const prompt = { secret: async () => undefined, confirm: async () => undefined }
  const surroundings = { args: [], environment: environmentIn(folder), clock: systemClock, exit, console, prompt }
  const links = ['preflight', 'backup', 'drain', 'shutdown', 'provision', 'rewrite-ip', 'resume', 'verify'].map(link)
  t.is(await runChain('run', [...links.slice(0, 4), told('provision'), ...links.slice(4)], surroundings), 0)
  t.deepEqual(called, ['preflight', 'backup', 'drain', 'shutdown', 'tell provision', 'provision', 'resume', 'verify'])
  t.regex(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), /"type":"end"/)
  t.is((await runIn(folder, 'status', nothing)).code, 0)
})

test('a phase of a chain that is interrupted says the command that was typed: that of the chain', async (t) => {
  const interrupted = async () => {
    throw new Interrupted('waiting until the new machine answers')
  }
  const console = listeningConsole()
  const exit = (code: number): never => {
    throw new Error(`exit ${code}`)
  }
  const prompt = { secret: async () => undefined, confirm: async () => undefined }
  const environment = environmentIn(newFolder())
  const surroundings = { args: ['--verbose'], environment, clock: systemClock, exit, console, prompt }
  t.is(await runChain('run', [{ name: 'backup', flags: {}, body: interrupted }], surroundings), 130)
  t.true(console.lines.includes('info To go on from here: task migrate:run -- --verbose'), console.lines.join('\n'))
})

test('nothing goes forward while a rollback is under way; afterwards the evening begins again after its backup', async (t) => {
  const folder = newFolder()
  for (const name of ['backup', 'drain']) t.is((await runIn(folder, name, nothing)).code, 0)
  const begun = async ({ journal }: Migration) =>
    journal.append({ type: 'rollback', state: 'begun', phases: [...rolledBack] })
  t.is((await runIn(folder, 'rollback', begun)).code, 0)
  for (const name of ['drain', 'shutdown', 'resume', 'backup']) {
    const { code, lines } = await runIn(folder, name, async () => t.fail(name))
    t.is(code, 1)
    t.true(lines.some((line) => line.includes('A rollback is under way')))
  }
  const done = async ({ journal }: Migration) =>
    journal.append({ type: 'rollback', state: 'done', phases: [...rolledBack] })
  t.is((await runIn(folder, 'rollback', done)).code, 0)
  t.is((await runIn(folder, 'shutdown', async () => t.fail())).code, 1, 'drain is to be done again')
  let drained = 0
  const again = async () => void drained++
  t.is((await runIn(folder, 'drain', again)).code, 0)
  t.is(drained, 1)
})

test('where no run is under way a rollback begins none', async (t) => {
  const folder = newFolder()
  t.is((await runIn(folder, 'rollback', nothing)).code, 0)
  t.false(existsSync(join(folder, 'output', 'current')))
})

test('a rollback takes up the run that was completed', async (t) => {
  const folder = newFolder()
  for (const name of ['backup', 'drain', 'shutdown', 'provision', 'resume', 'verify'])
    await runIn(folder, name, nothing)
  let phases: string[] = []
  await runIn(folder, 'rollback', async ({ journal }) => {
    phases = journal.records.flatMap((record) => (record.type === 'phase' ? record.phase : []))
  })
  t.true(phases.includes('resume'))
})

test('what can stand alone belongs to the evening when it is its turn', async (t) => {
  const folder = newFolder()
  const evening = { SCENARIO: 'B', NEW_TALOS_NODE: '192.168.1.57' }
  for (const name of ['backup', 'unpeer', 'drain']) {
    const { code, lines } = await runIn(folder, name, nothing, [], evening)
    t.is(code, 0, `${name}: ${lines.join('\n')}`)
  }
  t.notRegex(readFileSync(join(folder, 'output/current/journal.jsonl'), 'utf8'), /"type":"end"/)
})

test('where the old machine is lost in the middle of a rollback, a snapshot that is named leads out of it', async (t) => {
  const folder = newFolder()
  for (const name of ['backup', 'drain', 'shutdown', 'provision']) await runIn(folder, name, nothing)
  await runIn(folder, 'rollback', async ({ journal }) =>
    journal.append({ type: 'rollback', state: 'begun', phases: [...rolledBack] }),
  )
  t.is((await runIn(folder, 'provision', nothing)).code, 1)
  t.is((await runIn(folder, 'provision', nothing, [], { SNAPSHOT: '/nas/backup/last-final' })).code, 0)
  const journal = Journal.inMemory(join(folder, 'output/current/journal.jsonl'), () => new Date())
  t.false(journal.rollbackUnderWay)
  t.is(journal.phaseState('provision'), 'done')
})
