import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { ExecutionContext } from 'ava'

export type Side = 'lighthouse' | 'node'

/** Where the two sides of a mesh run, and how a program is started there. */
export interface Networks {
  /** false: this machine lets nobody make a tunnel's interface, and both sides are on loopback. */
  readonly tunnels: boolean
  /** of the network that carries the mesh */
  readonly addresses: Readonly<Record<Side, string>>
  start(side: Side, program: string, args: readonly string[]): ChildProcess
}

/** Two networks of their own with a cable between them, where the machine allows it; everything in them is gone when the test ends. */
export async function makeNetworks(t: ExecutionContext<unknown>): Promise<Networks> {
  const children: ChildProcess[] = []
  t.teardown(() => {
    for (const child of children.toReversed()) child.kill('SIGKILL')
  })
  const run = (program: string, args: readonly string[]) => {
    // Whoever holds a network ends with this process, for its standard input does.
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    children.push(child)
    return child
  }
  if (!canTunnel()) {
    return {
      tunnels: false,
      addresses: { lighthouse: '127.0.54.1', node: '127.0.54.2' },
      start: (_side, ...rest) => run(...rest),
    }
  }
  const hold = async () => {
    const child = run('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'])
    await once(child.stdout, 'data')
    return child.pid ?? 0
  }
  const holders = { lighthouse: await hold(), node: await hold() }
  const inside = (side: Side, program: string, args: readonly string[]) => [
    `--net=/proc/${holders[side]}/ns/net`,
    program,
    ...args,
  ]
  const addresses = { lighthouse: '198.18.0.1', node: '198.18.0.2' }
  const ip = (side: Side, line: string) =>
    execFileSync('nsenter', inside(side, 'ip', line.split(' ')), { stdio: 'pipe' })
  ip('lighthouse', `link add cable type veth peer name cable netns ${holders.node}`)
  for (const side of ['lighthouse', 'node'] as const) {
    ip(side, `address add ${addresses[side]}/24 dev cable`)
    for (const device of ['lo', 'cable']) ip(side, `link set ${device} up`)
  }
  return { tunnels: true, addresses, start: (side, program, args) => run('nsenter', inside(side, program, args)) }
}

function canTunnel(): boolean {
  if (!existsSync('/dev/net/tun')) return false
  try {
    execFileSync('unshare', ['--net', 'ip', 'tuntap', 'add', 'dev', 'probe', 'mode', 'tun'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
