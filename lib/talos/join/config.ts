import * as z from 'zod'
import type { Address } from '../../network/addresses.ts'
import { withAddress } from '../../network/mentions.ts'
import type { Settings } from '../../settings.ts'
import { changeConfig, patchWith } from '../change-config.ts'
import { type Fields, isFields, mainDocument } from '../config-fields.ts'
import type { MachineConfig } from '../machine-config.ts'
import { installedOn } from '../moved-config.ts'
import type { Talosctl } from '../talosctl.ts'
import type { JoiningNode } from './nodes.ts'

const traits = z.looseObject({
  machine: z.looseObject({
    network: z
      .looseObject({ interfaces: z.array(z.looseObject({ addresses: z.array(z.string()).nullish() })).nullish() })
      .nullish(),
    install: z.looseObject({ image: z.string().optional() }).nullish(),
    features: z.looseObject({ kubePrism: z.looseObject({ enabled: z.boolean().optional() }).nullish() }).nullish(),
  }),
})

/** What matters of a config here, besides what MachineConfig has. */
export interface ConfigTraits {
  readonly kubePrism: boolean
  /** static addresses, as written: 192.168.1.54/24 */
  readonly staticAddresses: readonly string[]
  readonly installImage: string | undefined
}

/** Source: Talos reference, "v1alpha1 Config": machine.features.kubePrism, machine.network.interfaces, machine.install. */
export function traitsOf(config: MachineConfig): ConfigTraits {
  const { machine } = traits.parse(mainDocument(config.text))
  return {
    kubePrism: machine.features?.kubePrism?.enabled ?? false,
    staticAddresses: (machine.network?.interfaces ?? []).flatMap(({ addresses }) => addresses ?? []),
    installImage: machine.install?.image ?? undefined,
  }
}

/**
 * The config for a new control plane: that of an existing one, with another hostname and address, INSTALL_DISK, INSTALL_IMAGE and
 * CONFIG_PATCH laid over it; all else, and so all secrets, the same.
 * @param existing what a control plane runs on, `from` its address
 * @throws TalosctlError when talosctl refuses the result
 */
export async function joiningConfig(
  settings: Pick<Settings, 'memoryDir' | 'installDisk' | 'installImage' | 'configPatch'>,
  talosctl: Talosctl,
  existing: MachineConfig,
  { from, node }: { from: Address; node: JoiningNode },
): Promise<MachineConfig> {
  const install = { disk: settings.installDisk, image: settings.installImage }
  const alter = (main: Fields) => installedOn(asJoining(main, from, node), install)
  const changed = await changeConfig(talosctl, existing, alter, settings)
  const patched = settings.configPatch ? await patchWith(talosctl, changed, [settings.configPatch]) : changed
  return { ...patched, origin: `the config of ${existing.hostname ?? from} for ${node.name}` }
}

/** An `init` machine would begin a cluster of its own. The endpoint and the certificates' names are the cluster's, and stay. */
function asJoining(main: Fields, from: Address, { name, address }: JoiningNode): Fields {
  const machine = isFields(main.machine) ? main.machine : {}
  const network = isFields(machine.network) ? machine.network : {}
  const interfaces = Array.isArray(network.interfaces)
    ? { interfaces: network.interfaces.map((each: unknown) => withOwnAddress(each, from, address)) }
    : {}
  return {
    ...main,
    machine: { ...machine, type: 'controlplane', network: { ...network, ...interfaces, hostname: name } },
  }
}

function withOwnAddress(card: unknown, from: Address, to: Address): unknown {
  if (!isFields(card) || !Array.isArray(card.addresses)) return card
  return { ...card, addresses: card.addresses.map((written: unknown) => withAddress(String(written), from, to)) }
}
