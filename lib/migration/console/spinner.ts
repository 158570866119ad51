import type { Ora } from 'ora'
import { formatSeconds } from '../clock.ts'
import type { Console } from '../console.ts'
import { redact } from '../redact.ts'

/** A live line for the running step, with for how long and what it waits for (which may have lines of its own); finished things are plain lines above it. */
export function createSpinnerConsole(out: NodeJS.WritableStream, plain: Console): Console {
  let spinner: Ora | null = null
  // It takes longer to load than a step should wait for it: the live line appears when it is there.
  let ora: typeof import('ora').default | undefined
  void import('ora').then((loaded) => {
    ora = loaded.default
    if (running) start()
    if (paused) spinner?.stop()
  })
  let running = false
  let paused = false
  let began = 0
  let title = ''
  let detail = ''
  let ticker: NodeJS.Timeout | undefined

  const text = () => {
    const width = ((out as { columns?: number }).columns ?? 80) - 4
    const time = ` (${formatSeconds((Date.now() - began) / 1000)})`
    const [first = '', ...below] = redact(detail === '' ? title : `${title}: ${detail}`).split('\n')
    return [cut(first, width - time.length) + time, ...below.map((line) => cut(line, width))].join('\n')
  }
  const start = () => {
    spinner =
      ora?.({
        text: text(),
        // Whether this is a terminal to be lively on was decided by who made this console.
        isEnabled: true,
        stream: out as NodeJS.WriteStream,
        discardStdin: false,
        hideCursor: false,
      }).start() ?? null
  }
  const stop = () => {
    running = false
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
      began = Date.now()
      running = true
      start()
      ticker = setInterval(() => {
        if (spinner) spinner.text = text()
      }, 200)
      ticker.unref()
    },
    stepEnd: instead(plain.stepEnd),
    detail: (live) => {
      detail = live
      if (spinner) spinner.text = text()
    },
    change: above(plain.change),
    info: above(plain.info),
    warn: above(plain.warn),
    error: instead(plain.error),
    bug: instead(plain.bug),
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

function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line
}
