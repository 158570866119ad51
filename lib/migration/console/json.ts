import type { Console } from '../console.ts'
import { redact } from '../redact.ts'

/** One JSON object a line: {"at", "event", …}. Events: phase-begin, phase-end, step-begin, step-end, change, detail, info, warning, error, bug, call, table, and the name of whatever facts a phase tells. */
export function createJsonConsole(out: NodeJS.WritableStream, { verbose }: { verbose: boolean }): Console {
  const emit = (event: string, fields: Record<string, unknown>) => {
    out.write(`${redact(JSON.stringify({ at: new Date().toISOString(), event, ...fields }))}\n`)
  }
  return {
    phaseBegin: (phase, summary) => emit('phase-begin', { phase, summary }),
    phaseEnd: (phase, outcome, seconds) => emit('phase-end', { phase, outcome, seconds }),
    stepBegin: (step) => emit('step-begin', { step }),
    stepEnd: (step, outcome, seconds, note) => emit('step-end', { step, outcome, seconds, note }),
    change: (what, mode) => emit('change', { what, mode }),
    detail: (text) => emit('detail', { text }),
    live: () => undefined,
    info: (text) => emit('info', { text }),
    warn: (text) => emit('warning', { text }),
    error: ({ what, means, next, exitCode }) => emit('error', { what, means, next, exitCode }),
    bug: (error) => emit('bug', { message: String(error), stack: error instanceof Error ? error.stack : undefined }),
    call: (what) => {
      if (verbose) emit('call', { what })
    },
    facts: (name, facts) => emit(name, { [name]: facts }),
    table: (title, columns, rows) => emit('table', { title, columns, rows }),
    pause: () => undefined,
    resume: () => undefined,
  }
}
