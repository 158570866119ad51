import * as z from 'zod'
import { type NetworkCard, networkCards } from './network-cards.ts'
import type { Talosctl, Target } from './talosctl.ts'

/** What tells one piece of hardware from another; JSON, no secret, so that it can be remembered in the journal. */
export const machineIdentity = z.object({
  /** SMBIOS system UUID; null where the board has none */
  uuid: z.string().nullable(),
  /** permanent addresses of the physical network cards, lower case, sorted */
  macs: z.array(z.string()),
})
export type MachineIdentity = z.output<typeof machineIdentity>

const systemInformation = z.object({ uuid: z.string().optional() }).loose()

/**
 * Asks a machine who it is. Works in maintenance mode (target.insecure) and with a client certificate.
 * @param deadline seconds, for each of the two calls
 * @throws TalosctlError when it does not answer
 */
export async function identify(talosctl: Talosctl, target: Target, deadline = 30): Promise<MachineIdentity> {
  return (await identifyByCards(talosctl, target, deadline)).identity
}

/**
 * As identify, with the network cards by which it is known.
 * Relies on the resources systeminformation and links (Talos reference, hardware.talos.dev and network.talos.dev).
 */
export async function identifyByCards(
  talosctl: Talosctl,
  target: Target,
  deadline = 30,
): Promise<{ identity: MachineIdentity; cards: NetworkCard[] }> {
  const [system, cards] = await Promise.all([
    talosctl.resources(target, 'systeminformation', systemInformation, { deadline }),
    networkCards(talosctl, target, deadline),
  ])
  const uuid = system[0]?.spec.uuid?.toLowerCase()
  const macs = cards.map(({ permanentAddr, hardwareAddr }) => (permanentAddr || hardwareAddr || '').toLowerCase())
  return { identity: { uuid: uuid || null, macs: macs.filter((mac) => /[1-9a-f]/.test(mac)).sort() }, cards }
}

/**
 * Whether two identities are of one machine. Cheap boards share a UUID, and a network card moves from one case to the next:
 * so the UUIDs must agree, and the cards must not all differ.
 */
export function sameMachine(one: MachineIdentity, other: MachineIdentity): boolean {
  const shared = one.macs.some((mac) => other.macs.includes(mac))
  if (one.uuid === null || other.uuid === null) return shared
  if (one.uuid !== other.uuid) return false
  return shared || one.macs.length === 0 || other.macs.length === 0
}

/** `uuid 4c4c4544-…, 02:00:00:00:00:01`. */
export function describeMachine({ uuid, macs }: MachineIdentity): string {
  return [`uuid ${uuid ?? 'unknown'}`, ...macs].join(', ')
}

/** The kernel's boot id: another one after every boot (random(4)). */
export async function bootId(talosctl: Talosctl, target: Target): Promise<string> {
  const { stdout } = await talosctl.run(target, ['read', '/proc/sys/kernel/random/boot_id'])
  return stdout.trim()
}
