import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Environment } from './find.ts'

export interface ToolRun {
  cwd: string
  environment: Environment
  signal: AbortSignal | undefined
  /** Called with every line of its standard error. */
  onLine: (line: string) => void
  /** Called every few seconds while it runs. */
  onTick: () => void
  /** The error for a program that is not there. */
  onMissing: () => Error
  /** The error for an exit code other than 0, from its last lines. */
  onFailure: (said: string[], code: number | string) => Error
}

const tickEveryMs = 5_000
const linesKept = 40

/**
 * Runs a program that takes its time, in a process group of its own, so that an abort ends it with all of its children.
 * @throws what onMissing or onFailure return, or the signal's reason
 */
export async function runTool(command: string, args: readonly string[], run: ToolRun): Promise<void> {
  run.signal?.throwIfAborted()
  const child = spawn(command, args, {
    cwd: run.cwd,
    env: run.environment,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  const stop = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  const said: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line)
    if (said.length > linesKept) said.shift()
    run.onLine(line)
  })
  run.onTick()
  const ticker = setInterval(run.onTick, tickEveryMs)
  run.signal?.addEventListener('abort', stop, { once: true })
  // A detached group survives its parent: an exit that nobody awaits must take it along too.
  process.once('exit', stop)
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? run.onMissing() : error))
      child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'))
    })
    run.signal?.throwIfAborted()
    if (code !== 0) throw run.onFailure(said, code)
  } finally {
    clearInterval(ticker)
    run.signal?.removeEventListener('abort', stop)
    process.off('exit', stop)
  }
}
