import { OperatorError } from '../migration/errors.ts'
import type { Condition, Migration, Probe } from '../migration/migration.ts'
import type { Address } from '../network/addresses.ts'
import { describeMachine, type MachineIdentity, machineIdentity, sameMachine } from './identity.ts'
import { installDisk } from './install-disk.ts'
import { type MachineConfig, pinHostname, readControlPlaneConfig, validateMachineConfig } from './machine-config.ts'
import { lookAtMachine, type MachineSeen } from './maintenance.ts'
import { oldMachine } from './old-machine.ts'
import { verifyTalosconfig } from './talosconfig.ts'
import type { Talosctl } from './talosctl.ts'
import { TalosctlError } from './talosctl-error.ts'

/**
 * Reads and checks the config for the new machine, as far as that goes without the machine. The Node keeps its name: a config
 * that pins none gets NODE_NAME pinned, for the name that Talos makes up otherwise depends on the hardware.
 * @throws OperatorError when it is not a valid control plane config, has another name, or the talosconfig does not fit
 */
export async function prepareConfig(migration: Migration, talosctl: Talosctl): Promise<MachineConfig> {
  const { controlplaneConfig, nodeName, talosconfig } = migration.settings
  const config = await readControlPlaneConfig(controlplaneConfig)
  await validateMachineConfig(talosctl, config)
  await verifyTalosconfig(talosconfig, config, migration.clock.now())
  if (config.hostname === nodeName) return config
  if (config.hostname !== undefined) {
    throw new OperatorError(
      `${controlplaneConfig} makes a Node named ${config.hostname}, and NODE_NAME is ${nodeName}.`,
      {
        means: 'Under another name the Node, its volumes and its labels would not be found again.',
        next: 'Correct machine.network.hostname in the config, or NODE_NAME.',
      },
    )
  }
  migration.console.info(
    `${controlplaneConfig} pins no hostname; ${nodeName} is pinned in what is applied (the file stays as it is).`,
  )
  return pinHostname(talosctl, config, nodeName)
}

/**
 * Waits for the new machine in maintenance mode, checks its disk against the config, and remembers it (fact `new-machine`) so that
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
  return {
    name: `the new machine waits at ${address} in maintenance mode`,
    timeoutSeconds: machineTimeout,
    everyMs: 1000,
    hint: `Boot it from Talos' ISO or network image; its screen shows its address, which must be ${address}.`,
    probe: async () => {
      const seen = await lookAtMachine(talosctl, address)
      const found = judge(migration, address, seen)
      if (found.met && seen.state === 'maintenance') {
        const disk = installDisk(config, seen.disks)
        migration.remember('new-machine', found.value)
        migration.console.info(`The new machine is ${describeMachine(found.value)}; Talos goes to ${disk.dev_path}.`)
      }
      return found
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
  machine: MachineIdentity,
  config: MachineConfig,
): Promise<void> {
  const undo = { kind: 'machine-config', address, uuid: machine.uuid, macs: machine.macs }
  await migration.change(`Apply ${config.origin} to the machine at ${address} (${describeMachine(machine)})`, {
    undo,
    apply: async () => {
      const seen = await lookAtMachine(talosctl, address)
      if (seen.state === 'foreign') throw notInMaintenance(address, seen.saw)
      if (seen.state !== 'maintenance') return
      if (!sameMachine(seen.identity, machine)) throw notTheSame(address, seen.saw)
      const args = ['apply-config', '--file', '/dev/stdin', '--mode', 'auto']
      await talosctl
        .run({ address, insecure: true }, args, { input: config.text, deadline: 120 })
        .catch((error: unknown) => {
          // The machine may go down for its restart before it has answered.
          if (!(error instanceof TalosctlError) || !error.transient) throw error
        })
    },
  })
}

/** Waits until the new machine has restarted with its config and lets us in. */
export function machineRuns(
  talosctl: Talosctl,
  address: Address,
  machine: MachineIdentity,
  timeoutSeconds: number,
): Condition<MachineIdentity> {
  return {
    name: `the new machine runs with its config at ${address}`,
    timeoutSeconds,
    everyMs: 500,
    hint: 'Its screen tells what it is doing: installing takes some minutes, and it restarts once.',
    probe: async () => {
      const seen = await lookAtMachine(talosctl, address)
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
