import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { type MachineConfig, pinHostname, readControlPlaneConfig, validateMachineConfig } from './machine-config.ts'
import { verifyTalosconfig } from './talosconfig.ts'
import type { Talosctl } from './talosctl.ts'

/**
 * Reads and checks the config for the new machine, as far as that goes without the machine. The Node keeps its name: a config
 * that pins none gets NODE_NAME pinned, for the name that Talos makes up otherwise depends on the hardware.
 * @throws OperatorError when it is not a valid control plane config, has another name or other versions, or the
 *   talosconfig does not fit
 */
export async function prepareConfig(migration: Migration, talosctl: Talosctl): Promise<MachineConfig> {
  const { controlplaneConfig, nodeName, talosconfig } = migration.settings
  const config = await readControlPlaneConfig(controlplaneConfig)
  await validateMachineConfig(talosctl, config)
  await verifyTalosconfig(talosconfig, config, migration.clock.now())
  checkVersions(migration, config)
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
 * `talosctl upgrade` and `upgrade-k8s` leave the file on the operator's disk as it was: a config that was once right can take
 * a cluster back by versions, with etcd data that the older ones do not read.
 */
function checkVersions({ settings, console }: Migration, { origin, versions }: MachineConfig): void {
  const pairs = [
    ['Talos', versions.talos, settings.talosVersion, 'machine.install.image', 'TALOS_VERSION'],
    ['Kubernetes', versions.kubernetes, settings.kubernetesVersion, 'the images of Kubernetes', 'KUBERNETES_VERSION'],
  ] as const
  for (const [name, found, wanted, field, variable] of pairs) {
    if (found === undefined || found === wanted) continue
    if (minorOf(found) !== minorOf(wanted)) {
      throw new OperatorError(`${origin} would install ${name} ${found}, and the cluster runs ${wanted}.`, {
        means: 'A migration does not change versions as well: older ones may not read what newer ones have written.',
        next: `Correct ${field} in the config; if the cluster runs ${found}, correct ${variable}.`,
      })
    }
    console.warn(`${origin} installs ${name} ${found}; the cluster is set down as ${wanted} (${variable}).`)
  }
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}
