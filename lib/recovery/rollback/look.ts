import type { Address } from '../../network/addresses.ts'
import { lookAtMachine, type MachineSeen } from '../../talos/maintenance.ts'
import type { Talosctl } from '../../talos/talosctl.ts'

/** Looks in a row at which a machine must refuse us before it is taken for a stranger. */
const firmly = 3

/**
 * Looks as lookAtMachine does, again and again. A machine that goes down, or comes up, refuses us for a moment as a stranger does: until it has
 * done so several times in a row it counts as silent.
 */
export function repeatedLook(talosctl: Talosctl): (address: Address) => Promise<MachineSeen> {
  let refusals = 0
  return async (address) => {
    const seen = await lookAtMachine(talosctl, address)
    refusals = seen.state === 'foreign' ? refusals + 1 : 0
    return seen.state === 'foreign' && refusals < firmly ? { state: 'silent', saw: seen.saw } : seen
  }
}
