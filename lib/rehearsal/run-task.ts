import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, dirname } from 'node:path'
import { projectFolder } from '../settings.ts'
import type { Environment } from './binaries/find.ts'

export interface CommandRun {
  environment: Environment
  /** 'inherit' shows it on the terminal; 'pipe' hands every piece of output to onOutput. */
  output: 'inherit' | 'pipe'
  onOutput?: (text: string) => void
  /** Told the process id, which is also that of its process group, as soon as there is one. */
  onStart?: (pid: number) => void
  /** Aborted: it gets what Ctrl-C sends, and is killed when that has not ended it after 30 s. */
  signal?: AbortSignal
}

export interface TaskRun extends CommandRun {
  /** The go-task binary. */
  task: string
}

const patienceMs = 30_000

/**
 * Runs the command that it is given, and kills its whole process group when its standard input ends, which it does when
 * whoever started it is gone, by whatever signal. Signals are left to the command, whose end is awaited.
 */
const leash = `
  const { spawn } = require('node:child_process')
  const { constants } = require('node:os')
  const [command, ...args] = process.argv.slice(1)
  process.stdin.resume().on('end', () => process.kill(0, 'SIGKILL'))
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined)
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  child.on('error', (error) => { console.error(error.message); process.exit(127) })
  child.on('close', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
`

/** Types `task NAME VARIABLE=VALUE…` as a user would, with the answer yes to its prompts; else as runCommand. */
export function runTask(args: readonly string[], { task, environment, ...run }: TaskRun): Promise<number> {
  const path = [dirname(task), environment.PATH].filter(Boolean).join(delimiter)
  return runCommand([task, '--yes', '--exit-code', ...args], { ...run, environment: { ...environment, PATH: path } })
}

/**
 * Runs a command of this project as a user would, and waits for its end. It runs in a process group of its own, so that it is interrupted once, by
 * us, and on a leash, so that it ends when we are gone.
 * @throws the signal's reason when it had aborted before
 * @returns its exit code; 128 and the signal's number when a signal ended it
 */
export async function runCommand(command: readonly string[], run: CommandRun): Promise<number> {
  run.signal?.throwIfAborted()
  const output = run.output === 'inherit' ? 'inherit' : 'pipe'
  const child = spawn(process.execPath, ['--eval', leash, '--', ...command], {
    cwd: projectFolder,
    env: run.environment,
    stdio: ['pipe', output, output],
    detached: true,
  })
  if (child.pid !== undefined) run.onStart?.(child.pid)
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => run.onOutput?.(text))
  }
  let patience: NodeJS.Timeout | undefined
  const interrupt = () => {
    signalGroup(child, 'SIGINT')
    patience = setTimeout(() => signalGroup(child, 'SIGKILL'), patienceMs)
  }
  const kill = () => signalGroup(child, 'SIGKILL')
  run.signal?.addEventListener('abort', interrupt, { once: true })
  process.once('exit', kill)
  try {
    return await exitCodeOf(child)
  } finally {
    clearTimeout(patience)
    run.signal?.removeEventListener('abort', interrupt)
    process.off('exit', kill)
  }
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
