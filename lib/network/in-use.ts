import { readFile } from 'node:fs/promises'
import { $ } from 'zx/core'
import { announceCommand } from '../migration/calls.ts'
import { type Address, isLoopback, sameAddress } from './addresses.ts'
import { controlPlanePorts, knock } from './ports.ts'

/** What machines, printers and routers usually listen on, besides the doors of a control plane. A Talos machine in maintenance mode listens on 50000 alone. */
const usualPorts = { SSH: 22, HTTP: 80, HTTPS: 443, kubelet: 10250 } as const

/**
 * What shows that something listens at an address, other than the Talos API.
 * @returns in words, or undefined
 */
export async function listensAt(address: Address): Promise<string | undefined> {
  const { 'Talos API': _talos, ...doors } = controlPlanePorts
  const ports = Object.entries({ ...doors, ...usualPorts })
  const answers = await Promise.all(ports.map(([, port]) => knock(address, port)))
  const open = ports.filter((_, i) => answers[i] === 'open').map(([name, port]) => `${name} (${port})`)
  return open.length > 0 ? `something listens there: ${open.join(', ')}` : undefined
}

/**
 * What shows that somebody has an address: a listener, a refusal, an answer to a ping, or an entry in the neighbour table, for ARP is
 * answered also behind a firewall (Linux). On loopback only a listener shows it: the kernel answers for all of them.
 * @returns in words, or undefined
 */
export async function livesAt(address: Address): Promise<string | undefined> {
  const listener = await listensAt(address)
  const talos = await knock(address, controlPlanePorts['Talos API'])
  if (listener !== undefined || talos === 'open') return listener ?? 'something listens there: Talos API (50000)'
  if (isLoopback(address)) return undefined
  if (talos === 'refused') return 'a machine there refuses connections, so it is on'
  if (await answersPing(address)) return 'it answers a ping'
  const card = await cardAt(address)
  return (
    card && `a network card has it: ${card}. (Of a machine that was disconnected just now? Then repeat in a minute.)`
  )
}

/** iputils, BusyBox and macOS know -c. Where there is no ping, there is no answer. */
async function answersPing(address: Address): Promise<boolean> {
  announceCommand('ping', ['-c', '1', address])
  const { exitCode } = await $({ nothrow: true, quiet: true, timeout: 3000 })`ping -c 1 ${address}`
  return exitCode === 0
}

/**
 * The network card that the kernel knows to have an address.
 * @param table as proc_net_arp(5) describes it: IP address, HW type, flags (0x2: complete), HW address
 * @returns its MAC address; undefined where nobody has answered, and where there is no such table
 */
export async function cardAt(address: Address, table = '/proc/net/arp'): Promise<string | undefined> {
  const text = await readFile(table, 'utf8').catch(() => '')
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/))
  const row = rows.find(([ip = '', , flags = '']) => sameAddress(ip, address) && (Number(flags) & 0x2) !== 0)
  return row?.[3]
}
