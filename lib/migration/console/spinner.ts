import type { Ora } from 'ora'
import { formatSeconds } from '../clock.ts'
import type { Console } from '../console.ts'
import { redact } from '../redact.ts'

/** A live line for the running step, with for how long and what it waits for (which may have lines of its own); finished things are plain lines above it. */
export function createSpinnerConsole(out: NodeJS.WritableStream, plain: Console): Console {
  let spinner: Ora | null = null
  let steps = 0
  let paused = false
  let began = 0
  let title = ''
  let detail = ''
  let ticker: NodeJS.Timeout | undefined

  const show = (live: string) => {
    detail = live
    if (spinner) spinner.text = text()
  }
  const text = () => {
    const width = ((out as { columns?: number }).columns ?? 80) - 4
    const time = ` (${formatSeconds((performance.now() - began) / 1000)})`
    const [first = '', ...below] = redact(detail === '' ? title : `${title}: ${detail}`).split('\n')
    return [
      cut(first, width - time.length) + time,
      ...fitting(below, out as { rows?: number }).map((line) => cut(line, width)),
    ].join('\n')
  }
  const start = async (step: number) => {
    // Taken in with the first step: what only says a word and ends is not to wait for it.
    const { default: ora } = await import('ora')
    if (step !== steps) return
    spinner = ora({
      text: text(),
      // Whether this is a terminal to be lively on was decided by who made this console.
      isEnabled: true,
      stream: out as NodeJS.WriteStream,
      discardStdin: false,
      hideCursor: false,
    })
    if (!paused) spinner.start()
    ticker = setInterval(() => {
      if (spinner) spinner.text = text()
    }, 200)
    ticker.unref()
  }
  const stop = () => {
    steps += 1
    clearInterval(ticker)
    spinner?.stop()
    spinner = null
  }
  const above = <A extends unknown[]>(print: (...args: A) => void) => {
    return (...args: A) => {
      spinner?.clear()
      print(...args)
      spinner?.render()
    }
  }
  const instead = <A extends unknown[]>(print: (...args: A) => void) => {
    return (...args: A) => {
      stop()
      print(...args)
    }
  }
  return {
    phaseBegin: plain.phaseBegin,
    phaseEnd: instead(plain.phaseEnd),
    stepBegin: (step) => {
      stop()
      title = step
      detail = ''
      began = performance.now()
      void start(steps)
    },
    stepEnd: instead(plain.stepEnd),
    detail: show,
    live: show,
    change: above(plain.change),
    info: above(plain.info),
    warn: above(plain.warn),
    error: instead(plain.error),
    bug: instead(plain.bug),
    call: above(plain.call),
    facts: plain.facts,
    table: above(plain.table),
    pause: () => {
      paused = true
      spinner?.stop()
    },
    resume: () => {
      paused = false
      spinner?.start()
    },
  }
}

/** A live text that is higher than the screen cannot be taken away again. */
function fitting(lines: readonly string[], out: { rows?: number }): readonly string[] {
  const room = Math.max((out.rows ?? 24) - 3, 1)
  return lines.length <= room ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`]
}

function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}
