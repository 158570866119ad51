import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { parseAddress } from '../../network/addresses.ts'
import { waysIn } from '../../talos/join/endpoints.ts'
import { undoJoin } from '../../talos/join/leave.ts'
import { lookAtMachine } from '../../talos/maintenance.ts'
import { untellNode } from '../../talos/other-nodes.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { seenIn, TalosctlError } from '../../talos/talosctl-error.ts'

/** Tells a machine again where the control plane is; one that does not answer must not keep the others from coming back. */
export async function untellIfThere(
  { talosctl, migration }: { talosctl: Talosctl; migration: Migration },
  change: JournaledChange,
): Promise<Undone> {
  try {
    return await untellNode(talosctl, migration.settings, change)
  } catch (error) {
    if (!(error instanceof TalosctlError) || !error.transient) throw error
    return `conflict: it looks for the control plane at the new address still, and does not answer (${seenIn(error)})`
  }
}

/** Has a machine that joined the control plane leave it again, and waits until it is empty: a worker that it was takes its config only then. */
export async function leaveAgain(
  { talosctl, migration }: { talosctl: Talosctl; migration: Migration },
  { undo }: JournaledChange,
): Promise<Undone> {
  const { settings } = migration
  const outcome = await undoJoin(talosctl, undo, await waysIn(settings))
  if (outcome !== 'undone') return outcome
  const address = parseAddress(String(undo?.address), 'an address of the journal')
  await migration.wait({
    name: `${address} has left and waits for a config`,
    timeoutSeconds: settings.shutdownTimeout,
    everyMs: 1000,
    hint: `Look at its screen; talosctl --nodes ${address} dmesg`,
    probe: async () => {
      const { state, saw } = await lookAtMachine(talosctl, address)
      return state === 'maintenance' ? { met: true, value: undefined } : { met: false, saw }
    },
  })
  return 'undone'
}
