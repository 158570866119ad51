import { stat } from 'node:fs/promises'
import * as z from 'zod'
import { $ } from 'zx/core'
import { announceCommand } from '../migration/calls.ts'
import { OperatorError } from '../migration/errors.ts'
import { findOnPath, isExecutable } from '../migration/executables.ts'
import type { Address } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { endsWithUs, inGroupOfItsOwn } from './process-group.ts'
import { type SteadyFile, watchGrowth } from './steady-file.ts'
import { TalosctlError, understand } from './talosctl-error.ts'

/** Which machine a call is for, and how. */
export interface Target {
  address: Address
  /** without client certificate, as a machine in maintenance mode wants it */
  insecure?: boolean
  /** ask this control plane machine to pass the call on; by default the machine is asked itself */
  endpoint?: Address
}

export interface CallOptions {
  /** standard input of talosctl, to be read as the file /dev/stdin: the way in for what is secret */
  input?: string | Buffer
  /** seconds; default 30 */
  deadline?: number
  /** a file that the call writes, and that is to come in steadily */
  steady?: SteadyFile
}

export interface Answer {
  stdout: string
  stderr: string
}

const resource = z.object({
  metadata: z.object({ id: z.string(), namespace: z.string() }).loose(),
  spec: z.unknown(),
})

/** A COSI resource as `talosctl get -o json` prints it. */
export interface TalosResource<T> {
  id: string
  spec: T
}

/**
 * The real talosctl. Nothing secret is ever among its arguments; it runs in a process group of its own, so that Ctrl-C in
 * the operator's terminal ends no call half way; every call has a deadline, and none outlives this process.
 */
export class Talosctl {
  readonly binary: string
  readonly version: string
  readonly #talosconfig: string

  private constructor(binary: string, version: string, talosconfig: string) {
    this.binary = binary
    this.version = version
    this.#talosconfig = talosconfig
  }

  /**
   * Finds talosctl (settings.talosctl, else PATH) and looks at its version and at the talosconfig.
   * @throws OperatorError when it is absent or not of the machines' minor version (Talos supports a client one minor apart only
   *   by luck: message fields come and go), or when there is no talosconfig
   */
  static async open(
    settings: Pick<Settings, 'talosctl' | 'talosVersion' | 'talosconfig'>,
    environment: Record<string, string | undefined> = process.env,
  ): Promise<Talosctl> {
    const binary = settings.talosctl ?? (await findOnPath('talosctl', environment.PATH ?? ''))
    if (!binary || !(await isExecutable(binary))) throw absent(binary, settings.talosVersion)
    const version = await clientVersion(binary)
    if (minorOf(version) !== minorOf(settings.talosVersion)) throw wrongVersion(binary, version, settings.talosVersion)
    const config = await stat(settings.talosconfig).catch(() => null)
    if (!config?.isFile()) throw noTalosconfig(settings.talosconfig)
    return new Talosctl(binary, version, settings.talosconfig)
  }

  /**
   * Runs one sub-command against one machine.
   * @throws TalosctlError with the reason when it exits otherwise than with 0, or when the deadline is over
   */
  async run(target: Target, args: readonly string[], options: CallOptions = {}): Promise<Answer> {
    const command = args.filter((arg) => !arg.startsWith('-')).slice(0, 2)
    const call = { command: command.join(' '), address: target.address, talosconfig: this.#talosconfig }
    const done = await execute(this.binary, [...args, ...this.#addressing(target)], options)
    if (done.exitCode === 0) return done
    throw understand(done.timedOut ? `${done.stderr}\ntimed out` : done.stderr, call)
  }

  #addressing({ address, insecure, endpoint = address }: Target): string[] {
    if (insecure) return ['--insecure', '--nodes', address]
    return ['--talosconfig', this.#talosconfig, '--endpoints', endpoint, '--nodes', address]
  }

  /**
   * The first bytes of a file on a machine. The rest of it is not transferred.
   * @throws TalosctlError when it cannot be read at all
   */
  async beginningOf(target: Target, path: string, bytes: number): Promise<Buffer> {
    // What ends first is head: then talosctl ends too, for nobody reads what it writes. zx takes what it reads for text, so it gets base64.
    announceCommand(this.binary, ['read', path, ...this.#addressing(target)])
    const { stdout } = await endsWithUs(
      $(inGroupOfItsOwn(30))`${this.binary} read ${path} ${this.#addressing(target)} | head -c ${bytes} | base64`,
    )
    const content = Buffer.from(stdout, 'base64')
    if (content.length > 0) return content
    throw new TalosctlError('other', `${path} on ${target.address} cannot be read, or is empty.`, {})
  }

  /**
   * Runs what needs no machine, such as `validate` and `machineconfig patch`.
   * @throws TalosctlError when it exits otherwise than with 0
   */
  async local(args: readonly string[], options: CallOptions = {}): Promise<Answer> {
    const done = await execute(this.binary, args, options)
    if (done.exitCode === 0) return done
    const said = done.stderr.trim().split('\n').slice(0, 12).join('\n  ')
    throw new TalosctlError('other', `talosctl ${args[0]} failed:\n  ${said || 'without a word'}`, {})
  }

  /**
   * Reads COSI resources: `talosctl get TYPE [ID] -o json`.
   * @param schema of the resource's spec
   */
  async resources<T>(
    target: Target,
    type: string,
    schema: z.ZodType<T>,
    options: { id?: string; deadline?: number } = {},
  ): Promise<TalosResource<T>[]> {
    const { id, ...call } = options
    const { stdout } = await this.run(target, ['get', type, ...(id ? [id] : []), '--output', 'json'], call)
    return documents(stdout).map((document) => {
      const parsed = resource.parse(document)
      return { id: parsed.metadata.id, spec: schema.parse(parsed.spec) }
    })
  }
}

/** The version of Talos that a machine runs, e.g. `v1.11.1`. @throws TalosctlError in maintenance mode, where it cannot be asked */
export async function talosVersion(talosctl: Talosctl, target: Target): Promise<string> {
  const { stdout } = await talosctl.run(target, ['version'])
  return /^Server:[\s\S]*?\bTag:\s*(v\S+)/m.exec(stdout)?.[1] ?? 'unknown'
}

/** `-o json` prints one indented object after the other. */
function documents(stdout: string): unknown[] {
  return stdout
    .split(/(?<=^\})\s*\n(?=\{)/m)
    .filter((text) => text.trim() !== '')
    .map((text) => JSON.parse(text))
}

interface Done extends Answer {
  exitCode: number | null
  timedOut: boolean
}

async function execute(binary: string, args: readonly string[], options: CallOptions): Promise<Done> {
  announceCommand(binary, args)
  const deadline = options.deadline ?? 30
  const start = performance.now()
  const how = inGroupOfItsOwn(deadline)
  // Node gives a child sockets, and a socket cannot be opened as /dev/stdin or /dev/stdout: cat makes pipes of them.
  const running =
    options.input === undefined
      ? $({ ...how, stdio: ['ignore', 'pipe', 'pipe'] })`${binary} ${args}`
      : $({ ...how, input: options.input })`cat | ${binary} ${args} | cat`
  let hasStalled = false
  const stopWatching =
    options.steady &&
    watchGrowth(options.steady, () => {
      hasStalled = true
      void running.kill('SIGKILL')
    })
  const output = await endsWithUs(running).finally(stopWatching)
  return {
    stdout: output.stdout,
    stderr: output.stderr,
    exitCode: output.exitCode,
    timedOut: hasStalled || (output.signal !== null && performance.now() - start >= deadline * 1000),
  }
}

async function clientVersion(binary: string): Promise<string> {
  const { stdout, exitCode } = await execute(binary, ['version', '--client', '--short'], { deadline: 10 })
  const found = /v\d+\.\d+\.\d+\S*/.exec(stdout)?.[0]
  if (exitCode === 0 && found) return found
  throw new OperatorError(`${binary} does not say its version: it is not a working talosctl.`, {
    next: `Run "${binary} version --client" to see why, or point TALOSCTL at another one.`,
  })
}

function minorOf(version: string): string {
  return /^v?(\d+\.\d+)\./.exec(version)?.[1] ?? version
}

function download(version: string): string {
  return `Install talosctl ${version} (https://github.com/siderolabs/talos/releases/tag/${version}) and put it on PATH, or set TALOSCTL to its path.`
}

function absent(binary: string | undefined, version: string): OperatorError {
  const what = binary ? `There is no executable talosctl at ${binary} (TALOSCTL).` : 'There is no talosctl on PATH.'
  return new OperatorError(what, { means: 'Nothing was done.', next: download(version) })
}

function wrongVersion(binary: string, found: string, wanted: string): OperatorError {
  return new OperatorError(`${binary} is ${found}, and the machines run ${wanted}.`, {
    means: 'A talosctl of another minor version can misread what these machines say.',
    next: `${download(wanted)} If the machines run ${found}, correct TALOS_VERSION.`,
  })
}

function noTalosconfig(path: string): OperatorError {
  return new OperatorError(`There is no talosconfig at ${path}.`, {
    means: 'Without it no machine lets us in.',
    next: 'Set TALOSCONFIG to the file that `talosctl gen config` has written for this cluster.',
  })
}
