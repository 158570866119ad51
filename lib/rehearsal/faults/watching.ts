import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { projectFolder } from '../../settings.ts'
import { sighting } from './watchdog.ts'

/** Older than this, and a sign of life is none. */
const staleAfterMs = 15_000

const looksForAStart = 25

/** The watchdog beside a practice cluster, from its start until it is stopped. */
export class Watchdog {
  readonly #report: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #beganAt = Date.now()

  /** @param folder the practice cluster's, in which every machine has its file */
  constructor(folder: string) {
    this.#report = join(folder, 'watchdog.jsonl')
    const program = join(projectFolder, 'lib/rehearsal/faults/watchdog.ts')
    const args = ['--import', 'tsx', program, folder, this.#report]
    this.#child = spawn(process.execPath, args, { cwd: projectFolder, stdio: ['pipe', 'ignore', 'inherit'] })
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#sightings().at(-1)?.looks ?? 0
  }

  /** What it has seen that must not be, each thing once; and that it is not there to look, if so. */
  seen(): string[] {
    const all = this.#sightings()
    const last = Date.parse(all.at(-1)?.at ?? '') || this.#beganAt
    const asleep = Date.now() - last > staleAfterMs ? ['the watchdog does not look any more'] : []
    return [...new Set(all.flatMap(({ wrong }) => wrong ?? [])), ...asleep]
  }

  /** Waits until it has looked as often as a machine that has just been switched on needs to show itself. */
  async looksAgain(): Promise<void> {
    const enough = this.looks + looksForAStart
    for (const until = Date.now() + staleAfterMs; this.looks < enough && Date.now() < until; ) await delay(100)
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #sightings() {
    if (!existsSync(this.#report)) return []
    const whole = readFileSync(this.#report, 'utf8').split('\n').slice(0, -1)
    return whole.map((line) => sighting.parse(JSON.parse(line)))
  }
}
