import test from 'ava'
import { fitColumns, hang, wrap } from '../../../lib/migration/console/fit.ts'
import { createPlainConsole } from '../../../lib/migration/console/plain.ts'
import { renderTable } from '../../../lib/migration/console/table.ts'

function said(width: number, say: (console: ReturnType<typeof createPlainConsole>) => void): string[] {
  let text = ''
  const out = { write: (more: string) => (text += more) }
  say(createPlainConsole(out, { quiet: false, verbose: false, colour: false, width: () => width }))
  return text.split('\n').slice(0, -1)
}

test('a text is broken between words, and a longer word where it has a seam', (t) => {
  t.deepEqual(wrap('all pods of media', 9), ['all pods', 'of media'])
  t.deepEqual(wrap('see /mnt/fatboy/appdata/plex now', 16), ['see', '/mnt/fatboy/', 'appdata/plex now'])
  t.deepEqual(wrap('0123456789abcdef', 8), ['01234567', '89abcdef'])
  t.deepEqual(wrap('', 8), [''])
})

test('a task is not torn from its name: it is there to be typed', (t) => {
  t.deepEqual(wrap('The way back: task migrate:rollback', 22), ['The way back:', 'task migrate:rollback'])
})

test('nothing of a text is lost by breaking it, and no line is wider', (t) => {
  const text =
    'Warned of: PersistentVolume pvc-04635f01-834b-48e0-8c94-3693df8fce42, at 192.0.2.20:/mnt/fatboy/appdata/x.'
  for (let width = 1; width < text.length + 2; width++) {
    const lines = wrap(text, width)
    t.true(lines.every((line) => line.length <= width))
    t.is(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''))
  }
})

test('the widest columns give up first, and none becomes too narrow to be read', (t) => {
  t.deepEqual(fitColumns([4, 40, 60], 200), [4, 40, 60])
  t.deepEqual(fitColumns([4, 40, 60], 84), [4, 38, 38])
  t.is(fitColumns([30, 30, 30, 30], 80), undefined)
})

test('a table that is wider than the terminal has cells of several lines', (t) => {
  t.deepEqual(renderTable(['what', 'where'], [['plex', 'copied by drain, and back by resume']], 30), [
    'WHAT  WHERE',
    'plex  copied by drain, and',
    '      back by resume',
  ])
})

test('a table whose columns would be too narrow has each row as a list', (t) => {
  const row = ['NFS servers answer today', '192.0.2.20 and 192.0.2.21', 'nothing answers from here', '']
  t.deepEqual(renderTable(['check', 'what', 'evidence', 'what to do'], [row, row], 36), [
    'CHECK       NFS servers answer today',
    'WHAT        192.0.2.20 and',
    '            192.0.2.21',
    'EVIDENCE    nothing answers from',
    '            here',
    '',
    'CHECK       NFS servers answer today',
    'WHAT        192.0.2.20 and',
    '            192.0.2.21',
    'EVIDENCE    nothing answers from',
    '            here',
  ])
})

test('what is said on a terminal hangs behind its mark; what is indented keeps its layout', (t) => {
  t.deepEqual(hang(' ! ', 'Left on the old machine', 16), [' ! Left on the', '   old machine'])
  t.deepEqual(hang('   ', '  export CLUSTER=home ENV_DIR=env', 16), ['     export CLUSTER=home ENV_DIR=env'])
  const lines = said(40, (console) => {
    console.stepEnd('Check the final snapshot against the machine config', 'done', 1)
    console.warn('Left on the old machine, as accepted: the data of ollama.')
  })
  t.deepEqual(lines, [
    ' ✔ Check the final snapshot against the',
    '   machine config (1.0s)',
    ' ! Left on the old machine, as accepted:',
    '   the data of ollama.',
  ])
})

test('where lines go to a file, they are as long as they are', (t) => {
  const text = 'word '.repeat(60).trim()
  t.deepEqual(
    said(Number.POSITIVE_INFINITY, (console) => console.info(text)),
    [`   ${text}`],
  )
})

test('a secret is taken out before its line is broken, in a sentence and in a table', (t) => {
  const secret = 'password=hunter2hunter2hunter2'
  for (let before = 0; before < 40; before++) {
    const text = `${'x'.repeat(before)} ${secret}`
    const lines = said(40, (console) => {
      console.warn(text)
      console.table('Found', ['what', 'evidence'], [['a Secret of some name', text]])
    })
    t.false(lines.join('').replaceAll(/\s/g, '').includes('hunter2'))
  }
})
