import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'

export type Side = 'lighthouse' | 'node'

/** Of the network that carries the mesh: documentation addresses (RFC 5737), which are nobody's. */
export const underlay: Readonly<Record<Side, string>> = { lighthouse: '203.0.113.10', node: '203.0.113.54' }

/** Where the two sides of a mesh run, and how a program is started there. */
export interface Networks {
  /** false: this machine lets nobody make a tunnel's interface, and both sides are on loopback. */
  readonly tunnels: boolean
  /** of the network that carries the mesh */
  readonly addresses: Readonly<Record<Side, string>>
  /** It ends with this process, however that ends. */
  start(side: Side, program: string, args: readonly string[]): ChildProcess
  /** Ends everything in them, and with that the networks. */
  stop(): void
}

/** Two networks of their own with a cable between them, where the machine allows it. */
export async function makeNetworks(): Promise<Networks> {
  const children: ChildProcess[] = []
  const stop = () => {
    for (const child of children.toReversed()) child.kill('SIGKILL')
    process.off('exit', stop)
  }
  process.once('exit', stop)
  const run = (program: string, args: readonly string[]) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    children.push(child)
    return child
  }
  if (!canTunnel()) {
    const addresses = { lighthouse: '127.0.54.1', node: '127.0.54.2' }
    return { tunnels: false, addresses, start: (_side, ...rest) => run(...rest), stop }
  }
  try {
    const hold = async () => {
      // Whoever holds a network ends with this process, for its standard input does.
      const child = run('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'])
      await once(child.stdout, 'data')
      return child.pid ?? 0
    }
    const holders = { lighthouse: await hold(), node: await hold() }
    layCable(holders)
    const start: Networks['start'] = (side, program, args) =>
      run('setpriv', [...dyingWithUs, 'nsenter', ...inside(holders[side]), program, ...args])
    return { tunnels: true, addresses: underlay, start, stop }
  } catch (error) {
    stop()
    throw error
  }
}

/** Whether this machine lets us make networks, and a tunnel's interface in them: that takes root, /dev/net/tun and iproute2. */
export function canTunnel(): boolean {
  if (!existsSync('/dev/net/tun')) return false
  try {
    const probe = ['unshare', '--net', 'ip', 'tuntap', 'add', 'dev', 'probe', 'mode', 'tun']
    execFileSync('setpriv', [...dyingWithUs, ...probe], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Source: prctl(2), PR_SET_PDEATHSIG */
const dyingWithUs = ['--pdeathsig', 'KILL']

function inside(holder: number): string[] {
  return [`--net=/proc/${holder}/ns/net`]
}

function layCable(holders: Readonly<Record<Side, number>>): void {
  const ip = (side: Side, line: string) =>
    execFileSync('nsenter', [...inside(holders[side]), 'ip', ...line.split(' ')], { stdio: 'pipe' })
  ip('lighthouse', `link add cable type veth peer name cable netns ${holders.node}`)
  for (const side of ['lighthouse', 'node'] as const) {
    ip(side, `address add ${underlay[side]}/24 dev cable`)
    for (const device of ['lo', 'cable']) ip(side, `link set ${device} up`)
  }
}
