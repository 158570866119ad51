import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import { mainDocument } from './config-fields.ts'
import type { MachineIdentity } from './identity.ts'
import { globMatches } from './install-disk.ts'
import type { MachineConfig } from './machine-config.ts'
import type { Talosctl, Target } from './talosctl.ts'

const linkStatus = z
  .object({
    type: z.string(),
    kind: z.string().default(''),
    hardwareAddr: z.string().optional(),
    permanentAddr: z.string().optional(),
    busPath: z.string().optional(),
    pciID: z.string().optional(),
    driver: z.string().optional(),
    alias: z.string().optional(),
    altNames: z.array(z.string()).nullish(),
  })
  .loose()

/** A machine's physical network card by the names that it goes by. */
export interface NetworkCard extends z.output<typeof linkStatus> {
  readonly names: readonly string[]
}

const interfaces = z.object({
  machine: z.object({
    network: z
      .object({
        interfaces: z
          .array(
            z
              .object({ interface: z.string().optional(), deviceSelector: z.record(z.string(), z.unknown()).nullish() })
              .loose(),
          )
          .nullish(),
      })
      .nullish(),
  }),
})

/** The physical network cards of a machine, also in maintenance mode (`talosctl get links`); deadline in seconds. */
export async function networkCards(talosctl: Talosctl, target: Target, deadline = 30): Promise<NetworkCard[]> {
  const found = await talosctl.resources(target, 'links', linkStatus, { deadline })
  return found
    .filter(({ spec }) => spec.type === 'ether' && spec.kind === '')
    .map(({ id, spec }) => ({
      ...spec,
      names: [id, spec.alias ?? '', ...(spec.altNames ?? [])].filter((name) => name !== ''),
    }))
}

/**
 * Whether the config would find its network interfaces on a machine: one that finds none of them would come up without its address.
 * @throws OperatorError that names those that are missing
 */
export function verifyNetworkCards(config: MachineConfig, cards: readonly NetworkCard[]): void {
  const wanted = interfaces.parse(mainDocument(config.text)).machine.network?.interfaces ?? []
  const missing = wanted.flatMap((each) => {
    if (each.deviceSelector) {
      const selector = each.deviceSelector
      return cards.some((card) => matches(card, selector)) ? [] : [`deviceSelector ${JSON.stringify(selector)}`]
    }
    // Bonds, bridges and the like are made by Talos.
    const isMade = ['bond', 'bridge', 'dummy', 'wireguard'].some((kind) => each[kind] !== undefined)
    const name = each.interface
    return isMade || name === undefined || name === 'lo' || cards.some(({ names }) => names.includes(name))
      ? []
      : [name]
  })
  if (missing.length === 0) return
  const there = cards.map(({ names, hardwareAddr }) => `${names[0]} (${hardwareAddr ?? 'no address'})`).join(', ')
  throw new OperatorError(
    `${config.origin} does not fit the new machine: it has no network card ${missing.join(', ')}.`,
    {
      means: `It has: ${there || 'none'}. With this config it would come up without its address. Nothing was applied.`,
      next: 'Name the card with CONFIG_PATCH (machine.network.interfaces), and run the same command again.',
    },
  )
}

/** All attributes must fit; `*` stands for anything (Talos reference, NetworkDeviceSelector). */
function matches(card: NetworkCard, selector: Record<string, unknown>): boolean {
  return Object.entries(selector).every(([attribute, wanted]) => {
    if (attribute === 'physical') return wanted === true
    const value = card[attribute]
    return typeof value === 'string' && globMatches(value.toLowerCase(), String(wanted).toLowerCase())
  })
}

/**
 * @param mac NEW_MACHINE_MAC, lower case; undefined: any machine will do
 * @throws OperatorError when the machine has no such card
 */
export function verifyMac(address: string, machine: MachineIdentity, mac: string | undefined): void {
  if (mac === undefined || machine.macs.includes(mac)) return
  throw new OperatorError(
    `The machine at ${address} is not the new one: it has no network card ${mac} (NEW_MACHINE_MAC).`,
    {
      means: `Its cards are ${machine.macs.join(', ') || 'unknown'}. Nothing was applied.`,
      next: 'Disconnect the machine that does not belong there, or correct NEW_MACHINE_MAC.',
    },
  )
}
