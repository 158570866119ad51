import { $ } from 'zx/core'
import { announceCommand } from '../../migration/calls.ts'
import { OperatorError } from '../../migration/errors.ts'
import { redact } from '../../migration/redact.ts'

/** Somewhat longer than liqoctl's own timeout, so that it is liqoctl that says what it waited for. */
const graceSeconds = 30

/**
 * The real liqoctl. It runs in a process group of its own, so that Ctrl-C in the operator's terminal does not end it half way; every call
 * has a deadline. Kubeconfigs are given to it as paths: nothing secret is among its arguments.
 * Source: https://docs.liqo.io/en/v1.0.1/usage/liqoctl/peer.html, …/unpeer.html
 */
export class Liqoctl {
  readonly binary: string
  readonly version: string

  private constructor(binary: string, version: string) {
    this.binary = binary
    this.version = version
  }

  /**
   * @param binary a path, or the name of one on PATH
   * @throws OperatorError when it does not run, or is of a version before 1.0, whose peerings are of another kind
   */
  static async find(binary: string): Promise<Liqoctl> {
    const said = await execute(binary, ['version', '--client'], 30)
    const version = /v?(\d+\.\d+\.\d+\S*)/.exec(said.output)?.[1]
    const next =
      'Install the liqoctl of the Liqo that the clusters run (https://docs.liqo.io), or set LIQOCTL to its path.'
    if (said.exitCode !== 0) {
      throw new OperatorError(`There is no working liqoctl: ${binary}.`, {
        means: `Peerings are torn down and made by it. Nothing was changed. It said: ${lastWords(said.output)}`,
        next,
      })
    }
    if (version?.startsWith('0.')) {
      throw new OperatorError(`${binary} is ${version}, and peerings as Liqo 1.0 knows them need 1.0 or later.`, {
        next,
      })
    }
    return new Liqoctl(binary, version ?? 'unknown')
  }

  /**
   * Runs one sub-command to its end.
   * @param timeout seconds that liqoctl itself waits for Liqo's controllers
   * @throws OperatorError with its last words
   */
  async run(args: readonly string[], timeout: number): Promise<void> {
    const done = await execute(this.binary, [...args, '--timeout', `${timeout}s`], timeout + graceSeconds)
    if (done.exitCode === 0) return
    throw new OperatorError(`liqoctl ${args[0]} did not succeed: ${lastWords(done.output)}`, {
      means:
        'The peering may be half made, or half torn down. The same command looks at what is there and goes on from it.',
      next: `By hand: ${[this.binary, ...args].join(' ')}`,
    })
  }
}

async function execute(binary: string, args: readonly string[], deadlineSeconds: number) {
  announceCommand(binary, args)
  const output = await $({
    detached: true,
    quiet: true,
    nothrow: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: deadlineSeconds * 1000,
    timeoutSignal: 'SIGKILL',
    // By default zx looks for the children in the process list; the group is exact, and needs no ps.
    kill: async (pid, signal) => {
      try {
        process.kill(-Number(pid), signal ?? 'SIGTERM')
      } catch {
        // It has ended by itself in the same instant.
      }
    },
  })`${binary} ${args}`
  return { exitCode: output.exitCode, output: `${output.stdout}\n${output.stderr}` }
}

/** liqoctl draws: colours, spinners that come back to the line's beginning. What stays is its last two lines. */
function lastWords(output: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it draws with
  const plain = output.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replace(/^.*\r(?!\n)/gm, '')
  const lines = plain
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return redact(lines.slice(-2).join('; ') || 'nothing')
}
