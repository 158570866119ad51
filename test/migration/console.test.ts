import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
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

/** The live line is there when what draws it has been loaded. */
async function liveLine(): Promise<void> {
  await import('ora')
  await nextTurn()
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
  await liveLine()
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

test('a step that is over before the live line is there leaves no trace of one', async (t) => {
  const { out, screen } = terminal(80)
  const console = createConsole({ out, environment: { TERM: 'xterm', NO_COLOR: '1' } })
  console.stepBegin('Look')
  console.stepEnd('Look', 'done', 0)
  await liveLine()
  t.is(screen(), ' ✔ Look (0.0s)\n')
})

test('while a question is asked there is no live line, also when it comes before the line does', async (t) => {
  const { out, screen } = terminal(80)
  const console = createConsole({ out, environment: { TERM: 'xterm', NO_COLOR: '1' } })
  console.stepBegin('Open the backup')
  console.pause()
  await liveLine()
  t.is(screen(), '')
  console.resume()
  t.regex(screen(), /Open the backup/)
  console.stepEnd('Open the backup', 'done', 0)
})

test('at 80 columns no line of a live step is ever wider than the terminal, whatever it is told', async (t) => {
  const { out, screen } = terminal(80)
  const console = createConsole({ out, environment: { TERM: 'xterm', NO_COLOR: '1' } })
  console.stepBegin('Wait for workloads')
  await liveLine()
  for (let length = 60; length < 100; length++) {
    console.detail(`${'x'.repeat(length)}\n${'y'.repeat(length)}`)
    // What is printed above it makes the live text appear anew.
    console.info('said meanwhile')
  }
  console.stepEnd('Wait for workloads', 'done', 3)
  const frames = stripVTControlCharacters(screen()).split(/\n| {3}said meanwhile|(?= ✔ )|(?=[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] )/u)
  t.true(frames.length > 80)
  for (const frame of frames) t.true(frame.length <= 80, `${frame.length}: ${frame}`)
})

test('a live text that is higher than the screen is cut to it, and in a pipe there is none', async (t) => {
  const { out, screen } = terminal(40)
  const console = createConsole({ out: Object.assign(out, { rows: 10 }), environment: { TERM: 'xterm' } })
  const table = Array.from({ length: 30 }, (_, at) => `row ${at}`).join('\n')
  console.stepBegin('Watch')
  await liveLine()
  console.live(table)
  console.info('a change')
  console.stepEnd('Watch', 'done', 1)
  t.regex(screen(), /row 6[\s\S]*… and 23 more/)
  t.false(screen().includes('row 7'))
  const pipe = Object.assign(new PassThrough(), { isTTY: false })
  let piped = ''
  pipe.on('data', (chunk) => {
    piped += String(chunk)
  })
  const plain = createConsole({ out: pipe, environment: {} })
  plain.stepBegin('Watch')
  plain.live(table)
  plain.info('a change')
  t.is(piped, '   a change\n')
})
