import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../migration/migration.ts'
import { type Address, parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { changeConfig } from './change-config.ts'
import { differences, mainDocument, showChange } from './config-fields.ts'
import { liveMachineConfig, type MachineConfig, parseMachineConfig } from './machine-config.ts'
import { type Move, movedConfig, moveOf } from './moved-config.ts'
import type { Talosctl } from './talosctl.ts'
import { seenIn, TalosctlError } from './talosctl-error.ts'

/** A machine of the cluster that stays where it is. */
interface Machine {
  readonly node: string
  readonly address: Address
}

export const endpointUndoKind = 'node-endpoint'

const endpointUndo = z.object({
  kind: z.literal(endpointUndoKind),
  node: z.string(),
  address: z.string(),
  old: z.string(),
  next: z.string(),
  endpoint: z.string(),
  nextEndpoint: z.string(),
})

/** Nodes that could not be asked, with why. */
export type Silent = { node: string; saw: string }

/**
 * Tells every other machine where the control plane is now: its endpoint, and whatever else of its config names the old address. Each is
 * asked at its own address, so the control plane need not be there; nothing is restarted. Every config is read back.
 * @returns the machines that did not answer; the others are done
 * @throws OperatorError when a machine has taken the config and shows another one; TalosctlError when one refuses it
 */
export async function tellOtherNodes(
  migration: Migration,
  talosctl: Talosctl,
  machines: readonly Machine[],
): Promise<Silent[]> {
  const silent: Silent[] = []
  for (const machine of machines) {
    try {
      await migration.step(`Tell ${machine.node} where the control plane is`, () =>
        tellNode(migration, talosctl, machine),
      )
    } catch (error) {
      if (!(error instanceof TalosctlError) || !error.transient) throw error
      silent.push({ node: machine.node, saw: seenIn(error) })
      migration.console.warn(`${machine.node} was not told: ${seenIn(error)}.`)
    }
  }
  return silent
}

async function tellNode(migration: Migration, talosctl: Talosctl, { node, address }: Machine): Promise<void> {
  const { settings, console } = migration
  const live = await configOf(talosctl, node, address)
  const move = moveOf(settings, live.endpoint)
  if (move === undefined) return
  const moved = await changeConfig(talosctl, live, (main) => movedConfig(main, move), settings)
  const changes = differences(mainDocument(live.text), mainDocument(moved.text))
  if (changes.length === 0) return console.detail(`${node} goes by ${live.endpoint} already`)
  for (const change of changes) console.info(`${node}: ${showChange(change)}`)
  await migration.change(`Tell ${node} that the control plane is at ${move.nextEndpoint}`, {
    undo: { kind: endpointUndoKind, node, address, ...move },
    apply: () => give(talosctl, address, moved),
  })
}

async function configOf(talosctl: Talosctl, node: string, address: Address): Promise<MachineConfig> {
  return parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${node}`)
}

/** Without a restart: Talos takes all of this in force at once, and refuses what it could not (Talos reference, `apply-config --mode`). */
async function give(talosctl: Talosctl, address: Address, config: MachineConfig): Promise<void> {
  const args = ['apply-config', '--file', '/dev/stdin', '--mode', 'no-reboot']
  await talosctl.run({ address }, args, { input: config.text, deadline: 120 })
  const now = parseMachineConfig(await liveMachineConfig(talosctl, { address }), config.origin)
  const differing = differences(mainDocument(config.text), mainDocument(now.text))
  if (differing.length === 0) return
  throw new OperatorError(`${config.origin} is not what it was given.`, {
    means: differing.map(showChange).join('; '),
    next: `Look at it: talosctl --nodes ${address} get machineconfig v1alpha1 -o yaml; then the same command again.`,
  })
}

/** Tells a machine again where the control plane was. */
export async function untellNode(
  talosctl: Talosctl,
  settings: Pick<Settings, 'memoryDir'>,
  change: JournaledChange,
): Promise<Undone> {
  const { node, address: text, old, next, endpoint, nextEndpoint } = endpointUndo.parse(change.undo)
  const address = parseAddress(text, `the address of Node ${node}`)
  const live = await configOf(talosctl, node, address)
  if (live.endpoint !== nextEndpoint) {
    return live.endpoint === endpoint ? 'already' : `conflict: ${node} goes by ${live.endpoint} now`
  }
  const back: Move = {
    old: parseAddress(next, 'the new address'),
    next: parseAddress(old, 'the old address'),
    endpoint: nextEndpoint,
    nextEndpoint: endpoint,
  }
  await give(talosctl, address, await changeConfig(talosctl, live, (main) => movedConfig(main, back), settings))
  return 'undone'
}

/** @throws OperatorError when there are any: what is left of the move can be done when they answer */
export function refuseSilent(silent: readonly Silent[], phase: string): void {
  if (silent.length === 0) return
  const names = silent.map(({ node }) => node).join(', ')
  throw new OperatorError(
    `${names} ${silent.length === 1 ? 'does' : 'do'} not know the new address yet; all else is done.`,
    {
      means: `${silent.map(({ node, saw }) => `${node}: ${saw}`).join('; ')}. It goes on to look for the control plane at the old address.`,
      next: `Switch it on, and type the same command again: task migrate:${phase}. If it is gone for good: kubectl delete node ${silent[0]?.node}, then the same command.`,
    },
  )
}
