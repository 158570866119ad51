import { join } from 'node:path'
import * as z from 'zod'
import type { Migration, Undone } from '../../migration/migration.ts'
import { identify, type MachineIdentity, machineIdentity, sameMachine } from '../identity.ts'
import type { MachineConfig } from '../machine-config.ts'
import { lookAtMachine } from '../maintenance.ts'
import type { Talosctl } from '../talosctl.ts'
import { TalosctlError } from '../talosctl-error.ts'
import { resetKind } from './candidate.ts'
import type { JoiningNode } from './nodes.ts'

const undoSchema = machineIdentity.extend({
  kind: z.literal(resetKind),
  node: z.string(),
  address: z.string(),
  config: z.string(),
})

/**
 * Empties a worker that is drained, so that it comes up in maintenance mode: Talos does not turn a worker into a control plane in place.
 * Its config is kept, encrypted, in the run's folder. May be repeated; a machine that is on its way is left alone.
 * @param encrypt writes its first argument, encrypted, to the path of its second
 */
export async function resetWorker(
  migration: Migration,
  talosctl: Talosctl,
  node: JoiningNode,
  { identity, config }: { identity: MachineIdentity; config: MachineConfig },
  encrypt: (plain: Buffer, path: string) => Promise<void>,
): Promise<void> {
  const { address } = node
  const kept = join(migration.runFolder, `worker-${node.name}.yaml.age`)
  if (!migration.dryRun) await encrypt(Buffer.from(config.text), kept)
  await migration.change(`Reset the worker ${node.name} (its disk is emptied)`, {
    undo: { kind: resetKind, node: node.name, address, config: kept, uuid: identity.uuid, macs: identity.macs },
    apply: async () => {
      const there = await identify(talosctl, { address }).catch(silence)
      if (!there || !sameMachine(there, identity)) return
      const labels = ['STATE', 'EPHEMERAL'].flatMap((label) => ['--system-labels-to-wipe', label])
      const args = ['reset', '--graceful=false', '--reboot', '--wait=false', ...labels]
      await talosctl.run({ address }, args).catch(silence)
    },
  })
}

/**
 * Makes the machine the worker again that it was.
 * @param decrypt reads the file of its argument
 */
export async function undoReset(
  talosctl: Talosctl,
  undo: unknown,
  decrypt: (path: string) => Promise<Buffer>,
): Promise<Undone> {
  const { node, config, ...before } = undoSchema.parse(undo)
  const address = before.address as JoiningNode['address']
  const seen = await lookAtMachine(talosctl, address)
  if (seen.state === 'running') {
    const { type } = await machineType(talosctl, address)
    return type === 'worker' ? 'already' : `conflict: ${node} is a control plane now; it has to leave first`
  }
  if (seen.state !== 'maintenance') return `conflict: ${seen.saw}`
  if (!sameMachine(seen.identity, before)) return `conflict: another machine waits at ${address}`
  const args = ['apply-config', '--file', '/dev/stdin', '--mode', 'auto']
  const input = await decrypt(config)
  await talosctl.run({ address, insecure: true }, args, { input, deadline: 120 }).catch(silence)
  return 'undone'
}

async function machineType(talosctl: Talosctl, address: JoiningNode['address']): Promise<{ type: string }> {
  const found = await talosctl.resources({ address }, 'machinetype', z.string())
  return { type: found[0]?.spec ?? 'unknown' }
}

/** A machine that goes down may do so before it has answered; whether it did is seen by a wait. */
function silence(error: unknown): undefined {
  if (error instanceof TalosctlError && error.transient) return undefined
  throw error
}
