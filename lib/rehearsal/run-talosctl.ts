import { execFile } from 'node:child_process'
import { OperatorError } from '../migration/errors.ts'

const deadlineMs = 60_000

/**
 * Runs the real talosctl for the rehearsal itself: to set the practice cluster up, and to prove afterwards what became of it.
 * It shares no code with what is rehearsed.
 * @param args without anything secret: they are readable by every user of this computer
 * @returns its standard output
 * @throws OperatorError with what it said
 */
export function runTalosctl(binary: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { timeout: deadlineMs, maxBuffer: 64 << 20, ...options }
    execFile(binary, [...args], settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const said = stderr.trim() || error.message
      reject(new OperatorError(`talosctl ${args.slice(0, 2).join(' ')} failed: ${said}`, { cause: error }))
    })
  })
}
