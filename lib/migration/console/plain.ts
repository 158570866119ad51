import { styleText } from 'node:util'
import { formatSeconds } from '../clock.ts'
import type { Console } from '../console.ts'
import { redact } from '../redact.ts'
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
}

/** Whole lines in the order in which things happen: for pipes, logs and CI, and under the spinner. */
export function createPlainConsole(out: LineSink, { quiet, verbose, colour }: PlainOptions): Console {
  const line = (text: string) => void out.write(`${redact(text)}\n`)
  const unlessQuiet = (text: string) => {
    if (!quiet) line(text)
  }
  const paint = (style: Style, text: string) => (colour ? styleText(style, text, { validateStream: false }) : text)
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
      const behind = outcome === 'skipped' ? 'already done' : formatSeconds(seconds)
      unlessQuiet(` ${mark} ${title} (${behind})${note ? `: ${note}` : ''}`)
    },
    change: (what, mode) => {
      if (mode === 'would be made') line(`   would ${what}`)
      else if (verbose) line(`   ${mode === 'undone' ? 'undone: ' : ''}${what}`)
    },
    detail: (text) => {
      if (!quiet && text !== lastDetail) line(paint('dim', `   … ${text}`))
      lastDetail = text
    },
    live: () => undefined,
    info: (text) => unlessQuiet(`   ${text}`),
    warn: (text) => line(paint('yellow', ` ! ${text}`)),
    error: (error) => {
      line(paint('red', `\n ✖ ${error.what}`))
      if (error.means) line(`   What it means: ${error.means}`)
      if (error.next) line(`   What to do:    ${error.next}`)
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
      for (const row of renderTable(columns, rows)) line(`  ${row}`)
    },
    pause: () => undefined,
    resume: () => undefined,
  }
}
