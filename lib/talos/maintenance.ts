import { z } from 'zod'
import type { Address } from '../network/addresses.ts'
import { describeMachine, identify, type MachineIdentity } from './identity.ts'
import { type Disk, disks } from './install-disk.ts'
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
  | { state: 'maintenance'; saw: string; identity: MachineIdentity; disks: Disk[] }
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
    const found = await disks(talosctl, insecure, patience)
    const identity = await identify(talosctl, insecure)
    return { state: 'maintenance', identity, disks: found, saw: `maintenance mode, ${describeMachine(identity)}` }
  } catch (error) {
    if (!(error instanceof TalosctlError)) throw error
    if (error.transient) return { state: 'silent', saw: seenIn(error) }
  }
  return lookInside(talosctl, address)
}

async function lookInside(talosctl: Talosctl, address: Address): Promise<MachineSeen> {
  try {
    const identity = await identify(talosctl, { address })
    const status = await talosctl.resources({ address }, 'machinestatus', machineStatus)
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
