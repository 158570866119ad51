import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { type MachineConfig, pinHostname, readControlPlaneConfig, validateMachineConfig } from './machine-config.ts'
import { verifyTalosconfig } from './talosconfig.ts'
import type { Talosctl } from './talosctl.ts'

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
