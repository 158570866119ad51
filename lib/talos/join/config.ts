import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { sameAddress } from '../../network/addresses.ts'
import { type MachineConfig, parseMachineConfig } from '../machine-config.ts'
import type { Talosctl } from '../talosctl.ts'
import type { JoiningNode } from './nodes.ts'

const traits = z
  .object({
    machine: z
      .object({
        type: z.string(),
        network: z
          .object({
            interfaces: z
              .array(
                z
                  .object({
                    addresses: z.array(z.string()).nullish(),
                    vip: z.object({ ip: z.string() }).loose().nullish(),
                  })
                  .loose(),
              )
              .nullish(),
          })
          .loose()
          .nullish(),
        install: z.object({ image: z.string().optional() }).loose().nullish(),
        features: z
          .object({ kubePrism: z.object({ enabled: z.boolean().optional() }).loose().nullish() })
          .loose()
          .nullish(),
      })
      .loose(),
  })
  .loose()

/** What matters of a config here, besides what MachineConfig has. */
export interface ConfigTraits {
  readonly kubePrism: boolean
  /** a virtual address that the control planes share (machine.network.interfaces[].vip), if there is one */
  readonly vip: string | undefined
  /** static addresses, as written: 192.168.1.54/24 */
  readonly staticAddresses: readonly string[]
  readonly installImage: string | undefined
}

/** Source: Talos reference, "v1alpha1 Config": machine.features.kubePrism, machine.network.interfaces, machine.install. */
export function traitsOf(config: MachineConfig): ConfigTraits {
  const { machine } = traits.parse(mainDocument(config.text))
  const interfaces = machine.network?.interfaces ?? []
  return {
    kubePrism: machine.features?.kubePrism?.enabled ?? false,
    vip: interfaces.find(({ vip }) => vip)?.vip?.ip,
    staticAddresses: interfaces.flatMap(({ addresses }) => addresses ?? []),
    installImage: machine.install?.image ?? undefined,
  }
}

/**
 * The config for a new control plane: that of an existing one, with another hostname, address and disk, all else and so all
 * secrets the same.
 * @param existing what a control plane runs on, `from` its address
 * @param disk to install on; undefined: what the existing one's config says
 * @throws TalosctlError when talosctl refuses the patch
 */
export async function joiningConfig(
  talosctl: Talosctl,
  existing: MachineConfig,
  { from, node, disk }: { from: string; node: JoiningNode; disk?: string | undefined },
): Promise<MachineConfig> {
  // An `init` machine would begin a cluster of its own.
  const machine = { type: 'controlplane', network: { hostname: node.name }, ...(disk ? { install: { disk } } : {}) }
  const text = await patched(talosctl, await withAddress(talosctl, existing.text, from, node.address), { machine })
  return parseMachineConfig(text, `the config of ${existing.hostname ?? from} for ${node.name}`)
}

/** A merge patch would add the new address to the list; this replaces the old one, which takes a config of one document. */
async function withAddress(talosctl: Talosctl, text: string, from: string, to: string): Promise<string> {
  const operations = addressPaths(mainDocument(text), from).map(({ path, prefix }) => ({
    op: 'replace',
    path,
    value: `${to}${prefix}`,
  }))
  if (operations.length === 0) return text
  const { main, others } = splitDocuments(text)
  return [await patched(talosctl, main, operations), ...others].join('---\n')
}

function addressPaths(document: unknown, from: string): { path: string; prefix: string }[] {
  const interfaces = traits.parse(document).machine.network?.interfaces ?? []
  return interfaces.flatMap(({ addresses }, i) =>
    (addresses ?? []).flatMap((written, j) => {
      const [address = '', length] = written.split('/')
      if (!sameAddress(address, from)) return []
      const prefix = length === undefined ? '' : `/${length}`
      return [{ path: `/machine/network/interfaces/${i}/addresses/${j}`, prefix }]
    }),
  )
}

async function patched(talosctl: Talosctl, text: string, patch: unknown): Promise<string> {
  const args = ['machineconfig', 'patch', '/dev/stdin', '--patch', JSON.stringify(patch)]
  return (await talosctl.local(args, { input: text })).stdout
}

function splitDocuments(text: string): { main: string; others: string[] } {
  const documents = text.split(/^---\s*\n/m).filter((document) => document.trim() !== '')
  const isMain = (document: string) => /^version:\s*v1alpha1\s*$/m.test(document)
  return { main: documents.find(isMain) ?? text, others: documents.filter((document) => !isMain(document)) }
}

function mainDocument(text: string): unknown {
  const documents = parseAllDocuments(text, { prettyErrors: false })
  const objects = Array.isArray(documents) ? documents.map((document) => document.toJS() as unknown) : []
  return objects.find((object) => typeof object === 'object' && object !== null && 'version' in object)
}
