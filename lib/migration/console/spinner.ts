import ora, { type Ora } from 'ora'
import { formatSeconds } from '../clock.ts'
import type { Console } from '../console.ts'
import { redact } from '../redact.ts'

/** One live line for the running step, with what it waits for and for how long; finished things are plain lines above it. */
export function createSpinnerConsole(out: NodeJS.WritableStream, plain: Console): Console {
  let spinner: Ora | null = null
  let began = 0
  let title = ''
  let detail = ''
  let ticker: NodeJS.Timeout | undefined

  const text = () => {
    const behind = `${detail === '' ? '' : `: ${detail}`} (${formatSeconds((Date.now() - began) / 1000)})`
    const width = ((out as { columns?: number }).columns ?? 80) - 4
    const whole = redact(title + behind)
    return whole.length > width ? `${whole.slice(0, width - 1)}…` : whole
  }
  const stop = () => {
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
      spinner = ora({ text: text(), stream: out as NodeJS.WriteStream, discardStdin: false, hideCursor: false }).start()
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
    pause: () => spinner?.stop(),
    resume: () => spinner?.start(),
  }
}
