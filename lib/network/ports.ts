import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Condition, Probe } from '../migration/migration.ts'
import { type Address, isLoopback } from './addresses.ts'

/** The three doors of a control plane machine (Talos documentation, "Network connectivity"). */
export const controlPlanePorts = { 'Talos API': 50000, 'Kubernetes API': 6443, etcd: 2379 } as const

/** open: something accepts. refused: the host is up and nothing listens. silent: nobody said anything in time. */
export type PortAnswer = 'open' | 'refused' | 'silent'

/**
 * Knocks once, over TCP, and hangs up.
 * @param timeoutMs how long to wait for an answer, milliseconds
 */
export function knock(address: Address, port: number, timeoutMs = 1500): Promise<PortAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port })
    const answer = (seen: PortAnswer) => {
      socket.destroy()
      resolve(seen)
    }
    socket.setTimeout(timeoutMs, () => answer('silent'))
    socket.once('connect', () => answer('open'))
    socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'))
  })
}

const knockEveryMs = 25

/**
 * Ends when somebody begins to listen at a port, or the signal aborts: a knock costs nothing beside a look with talosctl, so it can be
 * repeated as often as one could notice.
 * @param wasOpen whether it was when it was last looked at: then it has to close before
 */
export async function doorOpens(address: Address, port: number, wasOpen: boolean, signal: AbortSignal): Promise<void> {
  for (let open = wasOpen; !signal.aborted; ) {
    const isOpen = (await knock(address, port)) === 'open'
    if (isOpen && !open) return
    open = isOpen
    await delay(knockEveryMs)
  }
}

/** What each of the three doors said, `Talos API: silent`. */
export type DoorReport = Record<keyof typeof controlPlanePorts, PortAnswer>

/** Knocks at all three doors at once. */
export async function knockAtAllDoors(address: Address, timeoutMs = 1500): Promise<DoorReport> {
  const names = Object.keys(controlPlanePorts) as (keyof typeof controlPlanePorts)[]
  const seen = await Promise.all(
    names.map(async (name) => [name, await knock(address, controlPlanePorts[name], timeoutMs)]),
  )
  return Object.fromEntries(seen) as DoorReport
}

/**
 * Whether such a report is that of a machine without power. A refused connection is a sign of life: the kernel is up and
 * sends the reset. On loopback it is all that there can be, for the kernel that answers is the operator's own.
 */
export function isOff(report: DoorReport, address: Address): boolean {
  const quiet: PortAnswer[] = isLoopback(address) ? ['silent', 'refused'] : ['silent']
  return Object.values(report).every((answer) => quiet.includes(answer))
}

/** One line for the operator. */
export function describeDoors(report: DoorReport): string {
  return Object.entries(report)
    .map(([name, answer]) => `${name}: ${answer}`)
    .join(', ')
}

/**
 * The proof that a machine is off: its three doors were found quiet several times in a row, since a machine that goes down
 * has instants in which everything is closed and yet it runs. A door that says nothing takes a knock's whole patience each time; the pause
 * between two is short, for the cluster is down meanwhile.
 * @param options.inARow how many times; options.everyMs the time between two, milliseconds
 */
export function machineIsOff(
  name: string,
  address: Address,
  timeoutSeconds: number,
  options: { inARow?: number; everyMs?: number } = {},
): Condition<DoorReport> {
  const needed = options.inARow ?? 3
  let quietTimes = 0
  const probe = async (): Promise<Probe<DoorReport>> => {
    const report = await knockAtAllDoors(address)
    quietTimes = isOff(report, address) ? quietTimes + 1 : 0
    if (quietTimes >= needed) return { met: true, value: report, saw: describeDoors(report) }
    return { met: false, saw: quietTimes > 0 ? `quiet ${quietTimes} of ${needed} times` : describeDoors(report) }
  }
  return {
    name: `${name} is off (50000, 6443 and 2379 of ${address} answer no more)`,
    timeoutSeconds,
    everyMs: options.everyMs ?? 100,
    hint: `If it hangs, look at its screen, then hold its power button. "refused" means that its kernel still runs.`,
    probe,
  }
}
