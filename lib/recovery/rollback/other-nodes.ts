import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
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
