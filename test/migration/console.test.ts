import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import test from 'ava'
import { createConsole } from '../../lib/migration/console.ts'

function terminal(columns: number) {
  const out = Object.assign(new PassThrough(), {
    isTTY: true,
    columns,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  })
  let screen = ''
  out.on('data', (chunk) => {
    screen += String(chunk)
  })
  return { out, screen: () => screen }
}

test('a terminal that does not tell its width gets plain lines, and not a live one of infinite height', (t) => {
  const { out, screen } = terminal(0)
  const console = createConsole({ out, environment: { TERM: 'xterm' } })
  console.stepBegin('Look')
  console.stepEnd('Look', 'done', 1)
  t.regex(screen(), /Look/)
  t.false(screen().includes('\u001b[1A'))
})

test('live text of several lines stays below its step, each line cut to the width, the time never', async (t) => {
  const { out, screen } = terminal(40)
  const console = createConsole({ out, environment: { TERM: 'xterm' } })
  console.stepBegin('Drain talos00')
  t.is(screen(), '', 'nothing is waited for')
  while (screen() === '') await setImmediate()
  console.detail(`waiting until ${'talos00 '.repeat(9)}is drained\n   ns/db-0: ${'held by a finalizer '.repeat(3)}`)
  // What is printed above it makes the live text appear anew.
  console.info('cordoned')
  console.stepEnd('Drain talos00', 'done', 1)
  const lines = stripVTControlCharacters(screen()).split('\n')
  t.true(
    lines.some((line) => /Drain talos00: waiting.*… \(\d\.\ds\)$/.test(line)),
    lines.join('\n'),
  )
  // This terminal does not move its cursor, so what is shown next stands behind the cut.
  const below = lines.filter((line) => /^ {3}ns\/db-0: held by a finali.*…/.test(line))
  t.true(below.length > 0 && below.every((line) => line.indexOf('…') < 40), lines.join('\n'))
})
