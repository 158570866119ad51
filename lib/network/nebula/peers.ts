import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { $ } from 'zx/core'
import { announceCommand } from '../../migration/calls.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Condition } from '../../migration/migration.ts'
import { parseAddress } from '../addresses.ts'
import { knock } from '../ports.ts'

/** Somebody in the mesh who must be reached; without a port, ping asks. */
export interface Peer {
  readonly address: string
  readonly port: number | undefined
}

/** How a peer was asked, passed in: TCP by ourselves, ICMP through the system's ping. */
export type Reach = (peer: Peer) => Promise<'reached' | 'silent'>

const pingSeconds = 3

/** `10.42.0.1` or `10.42.0.1:6443`, as MESH_PEERS has it. */
export function peerOf(text: string): Peer {
  const [address = '', port] = text.split(':')
  return { address, port: port === undefined ? undefined : Number(port) }
}

export function describePeer({ address, port }: Peer): string {
  return port === undefined ? address : `${address}:${port}`
}

/** Whether an interface of this machine has an address in one of the networks (ADDRESS/BITS). */
export function isInMesh(networks: readonly string[], interfaces = networkInterfaces()): boolean {
  const own = Object.values(interfaces).flatMap((each) => (each ?? []).map(({ address }) => address))
  return networks.some((network) => {
    const range = ipaddr.parseCIDR(network)
    return own.some((address) => {
      const parsed = ipaddr.parse(address.split('%')[0] ?? '')
      return parsed.kind() === range[0].kind() && parsed.match(range)
    })
  })
}

/** Asks from this machine. A refused connection is an answer of the peer, too: the packet went there and back. */
export const reachFromHere: Reach = async ({ address, port }) => {
  if (port !== undefined) {
    return (await knock(parseAddress(address, 'MESH_PEERS'), port)) === 'silent' ? 'silent' : 'reached'
  }
  announceCommand('ping', ['-c', '1', address])
  const { exitCode, stderr } = await $({
    quiet: true,
    nothrow: true,
    timeout: (pingSeconds + 1) * 1000,
    stdio: ['ignore', 'ignore', 'pipe'],
  })`ping -c 1 ${address}`
  if (exitCode === 127 || /not permitted/.test(stderr)) throw cannotPing(address)
  return exitCode === 0 ? 'reached' : 'silent'
}

/**
 * Every peer answers over the mesh. A tunnel is made when the first packet wants to go through it, so each is asked until it answers.
 * @param timeoutSeconds for all of them
 */
export function peersAnswer(peers: readonly Peer[], timeoutSeconds: number, reach: Reach): Condition<number> {
  return {
    name: `${peers.map(describePeer).join(', ')} can be reached over the mesh`,
    timeoutSeconds,
    everyMs: 1000,
    hint: 'Look at the log of Nebula on both sides: a handshake that times out is a wrong static_host_map or a closed port 4242/udp; a refused one, a certificate. migrate:verify asks again.',
    probe: async () => {
      const answers = await Promise.all(peers.map(async (peer) => ({ peer, answer: await reach(peer) })))
      const silent = answers.filter(({ answer }) => answer === 'silent').map(({ peer }) => describePeer(peer))
      if (silent.length === 0) return { met: true, value: peers.length }
      return { met: false, saw: `no answer from ${silent.join(', ')}` }
    },
  }
}

function cannotPing(address: string): OperatorError {
  return new OperatorError(
    `There is no ping on this machine that may be used, and MESH_PEERS names ${address} without a port.`,
    {
      means: 'Without ICMP or a TCP port nothing can be asked of it.',
      next: `Set MESH_PEERS to ${address}:PORT, with a port that answers, or install ping.`,
    },
  )
}
