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
/** How long an interrupted program may take to put its things away. */
const patienceMs = 10_000

/**
 * Runs a program that takes its time. It stays in our process group, so that Ctrl-C in the terminal reaches it as well;
 * an abort sends it the same signal, upon which go and pip end their children and remove their temporary folders.
 * @throws what onMissing or onFailure return, or the signal's reason
 */
export async function runTool(command: string, args: readonly string[], run: ToolRun): Promise<void> {
  run.signal?.throwIfAborted()
  const child = spawn(command, args, { cwd: run.cwd, env: run.environment, stdio: ['ignore', 'ignore', 'pipe'] })
  const said: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line)
    if (said.length > linesKept) said.shift()
    run.onLine(line)
  })
  let patience: NodeJS.Timeout | undefined
  const interrupt = () => {
    child.kill('SIGINT')
    patience = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  }
  const interruptAtExit = () => void child.kill('SIGINT')
  run.signal?.addEventListener('abort', interrupt, { once: true })
  process.once('exit', interruptAtExit)
  run.onTick()
  const ticker = setInterval(run.onTick, tickEveryMs)
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? run.onMissing() : error))
      child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'))
    })
    run.signal?.throwIfAborted()
    if (code !== 0) throw run.onFailure(said, code)
  } finally {
    clearInterval(ticker)
    clearTimeout(patience)
    run.signal?.removeEventListener('abort', interrupt)
    process.off('exit', interruptAtExit)
  }
}
