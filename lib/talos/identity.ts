import { z } from 'zod'
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
const linkStatus = z
  .object({
    type: z.string(),
    kind: z.string().default(''),
    hardwareAddr: z.string().optional(),
    permanentAddr: z.string().optional(),
  })
  .loose()

/**
 * Asks a machine who it is. Works in maintenance mode (target.insecure) and with a client certificate.
 * Relies on the resources systeminformation and links (Talos reference, hardware.talos.dev and network.talos.dev).
 * @throws TalosctlError when it does not answer
 */
export async function identify(talosctl: Talosctl, target: Target): Promise<MachineIdentity> {
  const [system, links] = await Promise.all([
    talosctl.resources(target, 'systeminformation', systemInformation),
    talosctl.resources(target, 'links', linkStatus),
  ])
  const uuid = system[0]?.spec.uuid?.toLowerCase()
  const physical = links.filter(({ spec }) => spec.type === 'ether' && spec.kind === '')
  const macs = physical.map(({ spec }) => (spec.permanentAddr || spec.hardwareAddr || '').toLowerCase())
  return { uuid: uuid || null, macs: macs.filter((mac) => /[1-9a-f]/.test(mac)).sort() }
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
