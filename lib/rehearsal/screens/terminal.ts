import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { quote } from 'shell-quote'
import { projectFolder } from '../../settings.ts'
import type { Environment } from '../binaries/find.ts'
import { Screen, size } from './screen.ts'

const lookEveryMs = 100

/** A command that runs at a terminal (pty(7)) of 80×24 of its own, typed there as an operator would. */
export class Terminal {
  readonly screen = new Screen()
  /** Its exit code. */
  readonly ended: Promise<number>
  readonly #child: ChildProcessWithoutNullStreams
  readonly #written: Promise<void>[] = []
  #over = false

  constructor(command: readonly string[], environment: Environment) {
    this.#show(`\x1b[1m$ ${command.join(' ')}\x1b[0m\r\n`)
    // A terminal that script(1) makes has no size until it is told one.
    const sized = `stty columns ${size.columns} rows ${size.rows} && exec ${quote([...command])}`
    this.#child = spawn('script', ['--quiet', '--flush', '--return', '--command', sized, '/dev/null'], {
      cwd: projectFolder,
      env: { ...environment, TERM: 'xterm-256color', CI: undefined, NO_COLOR: undefined },
      detached: true,
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (bytes: Buffer) => this.#show(bytes))
    }
    this.ended = this.#end()
  }

  type(text: string): void {
    this.#child.stdin.write(text)
  }

  /**
   * Waits until a line on the screen, or scrolled away, holds a text.
   * @throws Error with the last lines when the command has ended without it, or seconds are over
   */
  async shows(text: string, withinSeconds: number): Promise<void> {
    const until = Date.now() + withinSeconds * 1000
    for (;;) {
      const over = this.#over || Date.now() > until
      if (this.screen.lines().some((line) => line.includes(text))) return
      if (over) throw new Error(`${JSON.stringify(text)} is not shown:\n${this.screen.lines().slice(-24).join('\n')}`)
      await pause(lookEveryMs)
    }
  }

  /** Hangs up: whatever still runs there gets what a closed terminal window sends. */
  close(): void {
    if (!this.#over && this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGTERM')
  }

  #show(bytes: string | Uint8Array): void {
    this.#written.push(this.screen.write(bytes))
  }

  async #end(): Promise<number> {
    const code = await new Promise<number>((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (exitCode) => resolve(exitCode ?? 128))
    })
    await Promise.all(this.#written)
    this.#over = true
    return code
  }
}
