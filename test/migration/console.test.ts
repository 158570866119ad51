import { PassThrough } from 'node:stream'
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
