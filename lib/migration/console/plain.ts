import { styleText } from 'node:util'
import { formatSeconds } from '../clock.ts'
import type { Console } from '../console.ts'
import { redact } from '../redact.ts'
import { hang } from './fit.ts'
import { renderTable } from './table.ts'

/** Where lines go: a stream, or a file that is written synchronously. */
export interface LineSink {
  write(text: string): unknown
}

type Style = Parameters<typeof styleText>[0]

interface PlainOptions {
  quiet: boolean
  verbose: boolean
  colour: boolean
  /** Characters in a line of the terminal; asked at every line, for a window can be drawn wider. None if not given: lines are as long as they are. */
  width?: () => number
}

/** Whole lines in the order in which things happen: for pipes, logs and CI, and under the spinner. */
export function createPlainConsole(out: LineSink, options: PlainOptions): Console {
  const { quiet, verbose, colour, width = () => Number.POSITIVE_INFINITY } = options
  const line = (text: string) => void out.write(`${redact(text)}\n`)
  const unlessQuiet = (text: string) => {
    if (!quiet) line(text)
  }
  const paint = (style: Style, text: string) => (colour ? styleText(style, text, { validateStream: false }) : text)
  // Redacted before it is broken: half of a secret looks like none.
  const behind = (before: string, text: string) => hang(before, redact(text), width())
  let lastDetail = ''
  return {
    phaseBegin: (name, summary) => unlessQuiet(`\n${paint('bold', `== ${name}`)}: ${summary}`),
    phaseEnd: (name, outcome, seconds) => line(`== ${name}: ${outcome} (${formatSeconds(seconds)})`),
    stepBegin: (title) => {
      lastDetail = ''
      if (verbose) line(`   ${title} …`)
    },
    stepEnd: (title, outcome, seconds, note) => {
      const mark = { done: paint('green', '✔'), skipped: paint('dim', '↷'), failed: paint('red', '✖') }[outcome]
      const time = outcome === 'skipped' ? 'already done' : formatSeconds(seconds)
      const [first = '', ...more] = behind('   ', `${title} (${time})${note ? `: ${note}` : ''}`)
      for (const each of [` ${mark}${first.slice(2)}`, ...more]) unlessQuiet(each)
    },
    change: (what, mode) => {
      if (mode === 'would be made') for (const each of behind('   ', `would ${what}`)) line(each)
      else if (verbose) line(`   ${mode === 'undone' ? 'undone: ' : ''}${what}`)
    },
    detail: (text) => {
      if (!quiet && text !== lastDetail) line(paint('dim', `   … ${text}`))
      lastDetail = text
    },
    live: () => undefined,
    info: (text) => {
      for (const each of behind('   ', text)) unlessQuiet(each)
    },
    warn: (text) => {
      for (const each of behind(' ! ', text)) line(paint('yellow', each))
    },
    error: ({ what, means, next }) => {
      line('')
      for (const each of behind(' ✖ ', what)) line(paint('red', each))
      for (const each of means ? behind('   What it means: ', means) : []) line(each)
      for (const each of next ? behind('   What to do:    ', next) : []) line(each)
    },
    bug: (error) => {
      line(paint('red', '\n ✖ An error that nobody expected; this is a fault of talos-migrate, not of yours.'))
      line(error instanceof Error ? (error.stack ?? error.message) : String(error))
      line('   What to do:    The journal holds what was done. The same command goes on from there.')
    },
    call: (what) => {
      if (verbose) line(paint('dim', `   > ${what}`))
    },
    facts: () => undefined,
    table: (title, columns, rows) => {
      line(`\n${paint('bold', title)}`)
      const cells = rows.map((row) => row.map(redact))
      for (const row of renderTable(columns, cells, width() - 2)) line(row === '' ? '' : `  ${row}`)
    },
    pause: () => undefined,
    resume: () => undefined,
  }
}
