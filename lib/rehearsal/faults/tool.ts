import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Environment } from '../binaries/find.ts'
import type { PracticeCluster } from '../practice-cluster.ts'
import { runCommand } from '../run-task.ts'
import { signalIfThere } from './scene.ts'

/** A command that was typed, until it ends. */
export interface Running {
  /** what was typed, as the documents have it */
  readonly line: string
  readonly ended: Promise<number>
  readonly exitCode: number | undefined
  said(): string
  /** What Ctrl-C in its terminal sends: to all processes of its group. */
  ctrlC(): void
  /** kill -9 of the script, and of nothing else. */
  kill(): void
}

/** Shifts the time that a script sees by as many milliseconds as a file says: the computer's clock, for this one process. */
const clockOf = (file: string) => `import { readFileSync } from 'node:fs'
const Real = Date
let offset = 0
const look = () => { try { offset = Number(readFileSync(${JSON.stringify(file)}, 'utf8')) || 0 } catch { offset = 0 } }
look()
setInterval(look, 50).unref()
globalThis.Date = class Date extends Real {
  constructor(...given) { if (given.length === 0) super(Real.now() + offset); else super(...given) }
  static now() { return Real.now() + offset }
}
`

/** The files by which a talosctl is told to go wrong, and by which it tells that it has. */
interface Switches {
  /** every call hangs that begins while it is there */
  hang: string
  /** every order is carried out, and then hangs as if its answer were lost */
  lose: string
  /** there as soon as an answer was lost */
  lost: string
}

/** A talosctl that goes wrong when it is told to; what hangs does so until it is killed. */
const talosctlOf = (real: string, { hang, lose, lost }: Switches) => `#!/bin/sh
[ -e '${hang}' ] && exec sleep 3600
if [ -e '${lose}' ]; then
  case " $* " in *' apply-config '* | *' bootstrap '* | *' shutdown '* | *' reset '*)
    '${real}' "$@"
    : > '${lost}'
    exec sleep 3600 ;;
  esac
fi
exec '${real}' "$@"
`

/** The scripts as their operator has them, with what a fault can do to the computer that they run on. */
export class Tool {
  readonly environment: Environment
  readonly #programs: string
  readonly #switches: Switches
  readonly #offset: string
  readonly #transcript: string
  #said = ''

  /** @param programs the folder of the bundles: dist, or that of a build that was broken on purpose */
  constructor(cluster: PracticeCluster, programs: string, settings: Environment) {
    const at = (name: string) => join(cluster.folder, 'operator', name)
    this.#programs = programs
    this.#switches = { hang: at('hang'), lose: at('lose'), lost: at('lost') }
    this.#offset = at('offset')
    this.#transcript = join(cluster.folder, 'said.txt')
    writeFileSync(at('clock.mjs'), clockOf(this.#offset))
    writeFileSync(at('talosctl'), talosctlOf(cluster.binaries.talosctl, this.#switches), { mode: 0o755 })
    this.environment = {
      ...cluster.environment,
      NO_COLOR: '1',
      NODE_OPTIONS: `--import=${pathToFileURL(at('clock.mjs'))}`,
      TALOSCTL: at('talosctl'),
      ...settings,
    }
  }

  /** Everything that all commands have said so far. */
  get said(): string {
    return this.#said
  }

  /** Types `task migrate:SCRIPT -- FLAGS`; the bundle is started without go-task, which only finds it. */
  type(script: string, flags: readonly string[] = []): Running {
    let output = ''
    let group: number | undefined
    let exitCode: number | undefined
    const line = [`task migrate:${script}`, ...(flags.length > 0 ? ['--', ...flags] : [])].join(' ')
    this.#hear(`\n$ ${line}\n`)
    const ended = runCommand([process.execPath, join(this.#programs, `${script}.js`), ...flags], {
      environment: this.environment,
      output: 'pipe',
      onOutput: (text) => {
        output += text
        this.#hear(text)
      },
      onStart: (pid) => {
        group = pid
      },
    }).then((code) => {
      exitCode = code
      return code
    })
    return {
      line,
      ended,
      get exitCode() {
        return exitCode
      },
      said: () => output,
      ctrlC: () => {
        if (group !== undefined && exitCode === undefined) signalIfThere(-group, 'SIGINT')
      },
      kill: () => {
        const script = group === undefined ? undefined : childOf(group)
        if (script !== undefined) signalIfThere(script, 'SIGKILL')
      },
    }
  }

  /** Every talosctl that is started from now on hangs, until letTalosctlGo. */
  hangTalosctl(): void {
    writeFileSync(this.#switches.hang, '')
  }

  /** Every talosctl that is to change a machine does so, and its answer is lost, until letTalosctlGo. */
  loseAnswers(): void {
    writeFileSync(this.#switches.lose, '')
  }

  get hasLostAnswer(): boolean {
    return existsSync(this.#switches.lost)
  }

  letTalosctlGo(): void {
    for (const file of Object.values(this.#switches)) rmSync(file, { force: true })
  }

  /** @param offsetMs 0: the time as it is. Resolves when every script has taken notice */
  async setClock(offsetMs: number): Promise<void> {
    writeFileSync(this.#offset, String(offsetMs))
    await delay(60)
  }

  #hear(text: string): void {
    this.#said += text
    appendFileSync(this.#transcript, text)
  }
}

/** The only child of a process: the script on its leash (proc(5)). */
function childOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]) || undefined
  } catch {
    return undefined
  }
}
