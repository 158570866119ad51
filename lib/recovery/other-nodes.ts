import * as z from 'zod'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { type NodeMachine, otherMachines } from '../kubernetes/machines.ts'
import type { Migration } from '../migration/migration.ts'
import { parseAddress } from '../network/addresses.ts'
import { nodeReady } from '../talos/control-plane.ts'
import { type Silent, tellOtherNodes } from '../talos/other-nodes.ts'
import type { Talosctl } from '../talos/talosctl.ts'

const machinesFact = z.array(z.object({ node: z.string(), address: z.string() }))

/** Remembers the other machines of the cluster (fact `other-machines`): a cluster that begins anew does not know them. */
export async function rememberOtherMachines(migration: Migration, api: KubernetesApi): Promise<void> {
  const machines = await otherMachines(api, migration.settings.nodeName)
  migration.remember(
    'other-machines',
    machines.map(({ node, address }) => ({ node, address })),
  )
}

/**
 * In scenario B, tells every other machine where the control plane is, and waits until each has said there that it is ready.
 * @returns the machines that did not answer
 * @throws OperatorError when one that was told does not become ready in settings.apiTimeout
 */
export async function bringOtherNodes(migration: Migration, api: KubernetesApi, talosctl: Talosctl): Promise<Silent[]> {
  const { scenario, apiTimeout } = migration.settings
  if (scenario !== 'B') return []
  const machines = await machinesToTell(migration, api)
  const silent = await tellOtherNodes(migration, talosctl, machines)
  const told = machines.map(({ node }) => node).filter((node) => !silent.some((each) => each.node === node))
  const ready = (node: string) => migration.wait(nodeReady(api, node, undefined, apiTimeout))
  if (told.length > 0) {
    await migration.step(`Wait for ${told.join(', ')}`, async () => void (await Promise.all(told.map(ready))))
  }
  return silent
}

/** A snapshot knows them; a Node that was deleted since is told no more. */
async function machinesToTell(migration: Migration, api: KubernetesApi): Promise<NodeMachine[]> {
  const { recovery, nodeName } = migration.settings
  const known = recovery === 'gitops' ? migration.recall('other-machines', machinesFact) : undefined
  if (known === undefined) return otherMachines(api, nodeName)
  return known.map(({ node, address }) => ({ node, address: parseAddress(address, `the address of Node ${node}`) }))
}
