import { OperatorError } from '../migration/errors.ts'
import type { Condition, Migration, Probe } from '../migration/migration.ts'
import type { Address } from '../network/addresses.ts'
import { controlPlanePorts, doorOpens } from '../network/ports.ts'
import { describeMachine, identify, type MachineIdentity, machineIdentity, sameMachine } from './identity.ts'
import { installDisk } from './install-disk.ts'
import type { MachineConfig } from './machine-config.ts'
import { lookAtConfigured, lookAtMachine, type MachineSeen } from './maintenance.ts'
import { verifyMac, verifyNetworkCards } from './network-cards.ts'
import { oldMachine } from './old-machine.ts'
import type { Talosctl } from './talosctl.ts'
import { TalosctlError } from './talosctl-error.ts'

/**
 * When the new machine has an address of its own: that nothing of this cluster runs at the old one.
 * @throws OperatorError at once when the old machine lets us in
 */
export function oldMachineStaysOff(
  migration: Migration,
  talosctl: Talosctl,
  old: Address,
  own: Address,
): Condition<true> {
  return {
    name: `nothing of the old control plane runs at ${old}`,
    timeoutSeconds: migration.settings.shutdownTimeout,
    probe: async () => {
      // At one address only one machine answers, and newMachineThere looks at which.
      if (old === own) return { met: true, value: true }
      const seen = await lookAtMachine(talosctl, old)
      if (seen.state === 'running') throw oldMachineAlive(old, seen.saw)
      return { met: true, value: true }
    },
  }
}

/**
 * Waits for the new machine in maintenance mode, checks its disk and network cards against the config, and remembers it (fact `new-machine`) so that
 * a run that was killed after applying the config knows it again.
 * @throws OperatorError at once when waiting cannot help: the old machine runs again, or another configured one has the address
 */
export function newMachineThere(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  config: MachineConfig,
): Condition<MachineIdentity> {
  const { machineTimeout } = migration.settings
  const answers = answering(address)
  return {
    name: `the new machine waits at ${address} in maintenance mode`,
    timeoutSeconds: machineTimeout,
    everyMs: 1000,
    wake: answers.wake,
    hint: `Boot it from Talos' ISO or network image; its screen shows its address, which must be ${address}.`,
    probe: async () => {
      const seen = answers.after(await lookAtMachine(talosctl, address))
      const found = judge(migration, address, seen)
      if (found.met && seen.state === 'maintenance') {
        verifyMac(address, found.value, migration.settings.newMachineMac)
        const disk = installDisk(config, seen.disks)
        verifyNetworkCards(config, seen.cards)
        migration.remember('new-machine', found.value)
        migration.console.info(`The new machine is ${describeMachine(found.value)}; Talos goes to ${disk.dev_path}.`)
      }
      return found
    },
  }
}

/** Wakes a wait when the machine at an address begins to answer: it is looked at once a second, and the cluster is down meanwhile. */
function answering(address: Address): {
  wake: (signal: AbortSignal) => Promise<void>
  after<T extends MachineSeen>(seen: T): T
} {
  let wasOpen = false
  return {
    wake: (signal) => doorOpens(address, controlPlanePorts['Talos API'], wasOpen, signal),
    after: (seen) => {
      wasOpen = seen.state !== 'silent'
      return seen
    },
  }
}

function judge(migration: Migration, address: Address, seen: MachineSeen): Probe<MachineIdentity> {
  const old = migration.recall('old-machine', oldMachine)
  const own = migration.recall('new-machine', machineIdentity)
  switch (seen.state) {
    case 'silent':
      return { met: false, saw: seen.saw }
    case 'maintenance':
      if (old && sameMachine(old, seen.identity)) {
        migration.console.warn(`The machine in maintenance mode at ${address} is the old one itself, emptied.`)
      }
      return { met: true, value: seen.identity, saw: seen.saw }
    case 'foreign':
      throw notInMaintenance(address, seen.saw)
    case 'running':
      if (own && sameMachine(own, seen.identity))
        return { met: true, value: seen.identity, saw: 'the config has been applied before' }
      if (!old || sameMachine(old, seen.identity)) throw oldMachineAlive(address, seen.saw)
      throw notInMaintenance(address, seen.saw)
  }
}

function oldMachineAlive(address: Address, saw: string): OperatorError {
  return new OperatorError(`The old machine is still alive at ${address}.`, {
    means: `Seen: ${saw}. Two control planes with one identity must never run at once. Nothing was applied.`,
    next: `Switch it off (task migrate:shutdown, or its power button), pull its cable, and repeat.`,
  })
}

function notInMaintenance(address: Address, saw: string): OperatorError {
  return new OperatorError(`The machine at ${address} is not in maintenance mode.`, {
    means: `Seen: ${saw}. Only a machine without a config takes one; waiting does not change that. Nothing was applied.`,
    next: 'Boot the new machine from the ISO or network image. If its disk holds another Talos, reset that one first (talosctl reset).',
  })
}

/**
 * Gives the new machine its config. A machine that has it already is left alone, and so is a silent one, which is
 * restarting: whether it took effect is seen by machineRuns.
 * @throws OperatorError when another machine has come to the address meanwhile
 */
export async function applyConfig(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  machine: MachineIdentity | undefined,
  config: MachineConfig,
): Promise<MachineIdentity | undefined> {
  const what = `Apply ${config.origin} to the machine at ${address}`
  if (!machine) {
    // Only a dry run goes on without a machine.
    await migration.change(what, { apply: () => Promise.reject(new Error('there is no machine to apply a config to')) })
    return undefined
  }
  const undo = { kind: 'machine-config', address, uuid: machine.uuid, macs: machine.macs }
  await migration.change(`${what} (${describeMachine(machine)})`, {
    undo,
    apply: async () => {
      if (!(await stillWaits(talosctl, address, machine))) return
      const args = ['apply-config', '--file', '/dev/stdin', '--mode', 'auto']
      await talosctl
        .run({ address, insecure: true }, args, { input: config.text, deadline: 120 })
        .catch((error: unknown) => {
          // The machine may go down for its restart before it has answered.
          if (!(error instanceof TalosctlError) || !error.transient) throw error
        })
    },
  })
  return machine
}

/** Whether a machine that was found in maintenance mode is there as it was; one that runs or is silent has its config, or restarts with it. */
async function stillWaits(talosctl: Talosctl, address: Address, machine: MachineIdentity): Promise<boolean> {
  const there = await identify(talosctl, { address, insecure: true }).catch(() => null)
  if (there && sameMachine(there, machine)) return true
  const seen = await lookAtMachine(talosctl, address)
  if (seen.state === 'foreign') throw notInMaintenance(address, seen.saw)
  if (seen.state !== 'maintenance') return false
  if (!sameMachine(seen.identity, machine)) throw notTheSame(address, seen.saw)
  return true
}

/** Waits until the new machine has restarted with its config and lets us in. */
export function machineRuns(
  talosctl: Talosctl,
  address: Address,
  machine: MachineIdentity,
  timeoutSeconds: number,
): Condition<MachineIdentity> {
  const answers = answering(address)
  return {
    name: `the new machine runs with its config at ${address}`,
    timeoutSeconds,
    everyMs: 500,
    wake: answers.wake,
    hint: 'Its screen tells what it is doing: installing takes some minutes, and it restarts once.',
    probe: async () => {
      const seen = answers.after(await lookAtConfigured(talosctl, address))
      if (seen.state !== 'running') return { met: false, saw: seen.saw }
      if (!sameMachine(seen.identity, machine)) throw notTheSame(address, seen.saw)
      return { met: true, value: seen.identity, saw: seen.saw }
    },
  }
}

function notTheSame(address: Address, saw: string): OperatorError {
  return new OperatorError(`Another machine than the chosen one answers at ${address}.`, {
    means: `Seen: ${saw}.`,
    next: 'Disconnect the machine that does not belong there, and run the same command again.',
  })
}
