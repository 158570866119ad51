import * as z from 'zod'
import type { Address } from '../network/addresses.ts'
import { describeMachine, identify, identifyByCards, type MachineIdentity } from './identity.ts'
import { type Disk, disks } from './install-disk.ts'
import type { NetworkCard } from './network-cards.ts'
import type { Talosctl } from './talosctl.ts'
import { seenIn, TalosctlError } from './talosctl-error.ts'

const machineStatus = z.object({ stage: z.string() }).loose()

// Seconds: an address without a machine takes talosctl's own time-outs otherwise, and this is asked again and again.
const patience = 8

/** What is to be found at an address. */
export type MachineSeen =
  /** nobody answers on the Talos API's port */
  | { state: 'silent'; saw: string }
  /** Talos without a machine config, waiting for one */
  | { state: 'maintenance'; saw: string; identity: MachineIdentity; disks: Disk[]; cards: NetworkCard[] }
  /** Talos of this cluster: it accepts our talosconfig */
  | { state: 'running'; saw: string; identity: MachineIdentity; stage: string }
  /** Talos of another cluster, or something else on that port */
  | { state: 'foreign'; saw: string }

/**
 * Looks at what runs at an address. In maintenance mode `version` is not implemented, but disks can be listed without a client
 * certificate; a configured machine refuses that during the TLS handshake (Talos documentation, "Maintenance mode").
 * @throws TalosctlError only for what is none of the four, such as an unusable talosconfig
 */
export async function lookAtMachine(talosctl: Talosctl, address: Address): Promise<MachineSeen> {
  try {
    const insecure = { address, insecure: true }
    // All at once: while a machine waits for its config the cluster is down.
    const [found, { identity, cards }] = await Promise.all([
      disks(talosctl, insecure, patience),
      identifyByCards(talosctl, insecure, patience),
    ])
    const saw = `maintenance mode, ${describeMachine(identity)}`
    return { state: 'maintenance', identity, disks: found, cards, saw }
  } catch (error) {
    if (!(error instanceof TalosctlError)) throw error
    if (error.transient) {
      const silent = { state: 'silent', saw: seenIn(error) } as const
      if (error.reason !== 'broke-off') return silent
      // A configured machine may close the connection before it has said that it wants a certificate (TLS 1.3: RFC 8446, 4.6.2).
      const inside = await lookInside(talosctl, address)
      return inside.state === 'running' ? inside : silent
    }
  }
  return lookInside(talosctl, address)
}

/** As lookAtMachine, for a machine that is expected to have its config: as such it is asked first. @throws TalosctlError as lookAtMachine */
export async function lookAtConfigured(talosctl: Talosctl, address: Address): Promise<MachineSeen> {
  const seen = await lookInside(talosctl, address)
  // One in maintenance mode refuses us too.
  return seen.state === 'foreign' ? lookAtMachine(talosctl, address) : seen
}

async function lookInside(talosctl: Talosctl, address: Address): Promise<MachineSeen> {
  try {
    const [identity, status] = await Promise.all([
      identify(talosctl, { address }),
      talosctl.resources({ address }, 'machinestatus', machineStatus),
    ])
    const stage = status[0]?.spec.stage ?? 'unknown'
    return {
      state: 'running',
      identity,
      stage,
      saw: `a configured machine of this cluster, ${describeMachine(identity)}, ${stage}`,
    }
  } catch (error) {
    if (!(error instanceof TalosctlError)) throw error
    if (error.transient) return { state: 'silent', saw: seenIn(error) }
    if (error.reason === 'talosconfig') throw error
    return {
      state: 'foreign',
      saw: `it runs, is not in maintenance mode, and refuses our talosconfig (${seenIn(error)})`,
    }
  }
}
