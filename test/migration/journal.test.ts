import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { smallDisk } from '../small-disk.ts'
import { newFolder } from './run-in-folder.ts'

const now = () => new Date()
const scale = { phase: 'drain', step: 'Scale down', what: 'scale plex to 0', undo: { kind: 'scale', replicas: 3 } }

test('what was appended is there when the journal is opened again', (t) => {
  const path = join(newFolder(), 'journal.jsonl')
  const journal = Journal.open(path, now)
  journal.append({ type: 'phase', phase: 'drain', state: 'begin' })
  journal.beginChange(scale)
  journal.close()
  const again = Journal.open(path, now)
  t.is(again.phaseState('drain'), 'begun')
  t.deepEqual(again.changes(), [{ id: 1, ...scale, state: 'begun' }])
})

test('the line is on the disk before append returns', (t) => {
  const path = join(newFolder(), 'journal.jsonl')
  const journal = Journal.open(path, now)
  journal.beginChange(scale)
  t.regex(readFileSync(path, 'utf8'), /scale plex to 0.*\n$/)
})

test('a journal torn at any byte of its last line opens, keeps the lines before, and takes new ones', (t) => {
  const path = join(newFolder(), 'journal.jsonl')
  const journal = Journal.open(path, now)
  journal.append({ type: 'phase', phase: 'drain', state: 'begin' })
  const whole = readFileSync(path, 'utf8').length
  journal.beginChange(scale)
  journal.close()
  const text = readFileSync(path, 'utf8')
  for (let length = whole; length < text.length - 1; length++) {
    writeFileSync(path, text.slice(0, length))
    const torn = Journal.open(path, now)
    t.is(torn.phaseState('drain'), 'begun')
    torn.append({ type: 'fact', phase: 'drain', name: 'after', fact: length })
    torn.close()
    t.is(Journal.inMemory(path, now).fact('after'), length)
  }
})

test('a line that is no record is passed over', (t) => {
  const path = join(newFolder(), 'journal.jsonl')
  appendFileSync(path, '{"type":"phase"}\nnonsense\n{"at":"x","type":"fact","phase":"a","name":"b","fact":1}\n')
  t.is(Journal.open(path, now).fact('b'), 1)
})

test('a change that was undone no longer stands, and a new one of the same description gets an id of its own', (t) => {
  const journal = Journal.inMemory(null, now)
  const id = journal.beginChange(scale)
  t.is(journal.standingChange(scale.what)?.id, id)
  journal.append({ type: 'outcome', id, state: 'undone' })
  t.is(journal.standingChange(scale.what), undefined)
  t.is(journal.beginChange(scale), id + 1)
})

test('a step is done only since its phase was last begun anew', (t) => {
  const journal = Journal.inMemory(null, now)
  journal.append({ type: 'phase', phase: 'backup', state: 'begin' })
  journal.append({ type: 'step', phase: 'backup', step: 'Snapshot', state: 'done', result: 'file' })
  journal.append({ type: 'phase', phase: 'backup', state: 'resume' })
  t.deepEqual(journal.doneStep('backup', 'Snapshot'), { result: 'file' })
  journal.append({ type: 'phase', phase: 'backup', state: 'begin' })
  t.is(journal.doneStep('backup', 'Snapshot'), undefined)
})

test('a journal in memory writes nothing', (t) => {
  const path = join(newFolder(), 'journal.jsonl')
  Journal.open(path, now).append({ type: 'end' })
  const before = readFileSync(path, 'utf8')
  Journal.inMemory(path, now).append({ type: 'end' })
  t.is(readFileSync(path, 'utf8'), before)
})

test('a full disk stops the run with an error that names it; with room again nothing that was written before is lost', (t) => {
  const { folder } = smallDisk(t, '64k')
  const path = join(folder, 'journal.jsonl')
  const journal = Journal.open(path, now)
  const remember = (n: number) => journal.append({ type: 'fact', phase: 'drain', name: `fact ${n}`, fact: n })
  const filler = join(folder, 'filler')
  t.throws(() => writeFileSync(filler, Buffer.alloc(70_000)), { message: /ENOSPC/ })
  let n = 0
  const error = t.throws(
    () => {
      // What is left of the block that it is in still takes a few.
      for (; n < 1000; n++) remember(n)
    },
    { instanceOf: OperatorError },
  )
  t.regex(error.what, /journal\.jsonl cannot be written: ENOSPC/)
  rmSync(filler)
  remember(n)
  journal.close()
  const again = Journal.open(path, now)
  for (let one = 0; one <= n; one++) t.is(again.fact(`fact ${one}`), one)
})

test('what became of a change is told as of the last time that its phase was begun anew', (t) => {
  const journal = Journal.inMemory(null, now)
  const told = () => journal.changeSinceBegun('restore', 'create a')
  const begin = (state: 'begin' | 'resume') => journal.append({ type: 'phase', phase: 'restore', state })
  begin('begin')
  t.is(told(), undefined)
  const id = journal.beginChange({ phase: 'restore', step: '', what: 'create a', undo: null })
  t.is(told(), 'begun')
  begin('resume')
  t.is(told(), 'begun')
  journal.append({ type: 'outcome', id, state: 'failed' })
  t.is(told(), 'failed')
  journal.append({ type: 'outcome', id, state: 'done' })
  t.is(told(), 'done')
  begin('begin')
  t.is(told(), undefined)
})

test('from the beginning of a rollback its phases count as not begun, and at its end they have remembered nothing', (t) => {
  const journal = Journal.inMemory(null, now)
  const done = (phase: string) => {
    journal.append({ type: 'phase', phase, state: 'begin' })
    journal.append({ type: 'step', phase, step: 'Look', state: 'done' })
    journal.append({ type: 'fact', phase, name: `of ${phase}`, fact: phase })
    journal.append({ type: 'phase', phase, state: 'done' })
  }
  done('backup')
  done('shutdown')
  journal.append({ type: 'end' })
  const phases = ['shutdown', 'rollback']
  journal.append({ type: 'rollback', state: 'begun', phases })
  t.is(journal.phaseState('shutdown'), 'not begun')
  t.is(journal.phaseState('backup'), 'done')
  t.is(journal.fact('of shutdown'), 'shutdown', 'the rollback itself goes by it')
  t.true(journal.rollbackUnderWay)
  t.false(journal.ended)
  journal.append({ type: 'rollback', state: 'done', phases })
  t.is(journal.fact('of shutdown'), undefined)
  t.is(journal.fact('of backup'), 'backup')
  t.is(journal.doneStep('shutdown', 'Look'), undefined)
  t.false(journal.rollbackUnderWay)
  done('shutdown')
  t.is(journal.phaseState('shutdown'), 'done', 'forward again')
  t.is(journal.fact('of shutdown'), 'shutdown')
})
