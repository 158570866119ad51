import { OperatorError } from '../../migration/errors.ts'
import type { Condition, Migration, Probe } from '../../migration/migration.ts'
import type { Address } from '../../network/addresses.ts'
import { machineIsOff } from '../../network/ports.ts'
import { describeMachine, sameMachine } from '../../talos/identity.ts'
import { lookAtMachine, type MachineSeen } from '../../talos/maintenance.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { TalosctlError } from '../../talos/talosctl-error.ts'
import type { KnownMachine } from './known-machine.ts'
import { repeatedLook } from './look.ts'
import type { WayBack } from './way-back.ts'

/** How it is known that the new machine runs no etcd of this cluster. */
type Fenced =
  | 'is reset and off'
  | 'is off, and may hold the cluster on its disk'
  | 'waits for a config'
  | 'is not connected'

/**
 * Makes sure that the new machine runs no etcd of this cluster: while it runs it is told to reset itself, which takes the etcd from its disk and switches
 * it off; one that is silent is proven off, as the old one was.
 * @throws OperatorError when something answers at its address that is neither of both machines
 */
export async function fenceNewMachine(migration: Migration, talosctl: Talosctl, way: WayBack): Promise<void> {
  const { replacement } = way
  if (!replacement) return
  const { address, identity } = replacement
  const fenced = await migration.change(`Reset the new machine at ${address} (${describeMachine(identity)})`, {
    apply: () => migration.wait(newMachineIsFenced(migration, talosctl, replacement, way.old)),
  })
  migration.console.info(`The new machine ${fenced}.`)
}

function newMachineIsFenced(
  { settings }: Migration,
  talosctl: Talosctl,
  { address, identity }: KnownMachine,
  old: KnownMachine | undefined,
): Condition<Fenced> {
  let wasTold = false
  const look = repeatedLook(talosctl)
  const silence = machineIsOff('the new machine', address, settings.shutdownTimeout)
  return {
    name: `the new machine at ${address} is reset and off`,
    timeoutSeconds: settings.shutdownTimeout,
    hint: 'If it hangs, look at its screen, then hold its power button, and the same command again.',
    probe: async (): Promise<Probe<Fenced>> => {
      const seen = await look(address)
      if (seen.state === 'silent') {
        const outcome = wasTold ? 'is reset and off' : 'is off, and may hold the cluster on its disk'
        const proof = await silence.probe()
        return proof.met ? { met: true, value: outcome } : proof
      }
      if (seen.state === 'maintenance') return { met: true, value: 'waits for a config' }
      if (seen.state === 'foreign') throw unknownMachine(address, seen)
      if (old && sameMachine(seen.identity, old.identity)) return { met: true, value: 'is not connected' }
      if (!sameMachine(seen.identity, identity)) throw unknownMachine(address, seen)
      await tellToReset(talosctl, address, wasTold)
      wasTold = true
      return { met: false, saw: `it was told to reset itself; ${seen.stage}` }
    },
  }
}

/**
 * Not gracefully: it is the only member of its etcd, and nobody is there whom it could leave. Told twice, it does it once; and one that was
 * told may lose what it trusts us by between a look and the telling, which the next look sees.
 */
async function tellToReset(talosctl: Talosctl, address: Address, wasTold: boolean): Promise<void> {
  const wipe = ['STATE', 'EPHEMERAL'].flatMap((label) => ['--system-labels-to-wipe', label])
  const order = ['reset', '--graceful=false', '--reboot=false', '--wait=false', ...wipe]
  await talosctl.run({ address }, order, { deadline: 120 }).catch((error: unknown) => {
    if (!(error instanceof TalosctlError) || !(error.transient || wasTold)) throw error
  })
}

/** @throws OperatorError when the new machine, at an address of its own, has been switched on again with the cluster on its disk */
export async function staysFenced(talosctl: Talosctl, { replacement, old }: WayBack): Promise<void> {
  if (!replacement || replacement.address === old?.address) return
  refuseAlive(replacement, await lookAtMachine(talosctl, replacement.address))
}

/** @throws OperatorError when the new machine lets us in: its etcd may run, and that of the old one must not be started beside it */
export function refuseAlive({ address, identity }: KnownMachine, seen: MachineSeen): void {
  if (seen.state !== 'running' || !sameMachine(seen.identity, identity)) return
  throw new OperatorError(`The new machine is alive at ${address}.`, {
    means: `Seen: ${seen.saw}. Two control planes with one identity must never run at once.`,
    next: 'Switch one of the two off at once: the old one, if the rollback has just begun, else the new one. Then the same command again: task migrate:rollback',
  })
}

function unknownMachine(address: Address, { saw }: MachineSeen): OperatorError {
  return new OperatorError(`The machine at ${address} is neither the old one nor the new one.`, {
    means: `Seen: ${saw}. It was left alone, and nothing was undone.`,
    next: 'Disconnect what does not belong there, and repeat: task migrate:rollback',
  })
}
