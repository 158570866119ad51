import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { changeConfig, patchWith } from './change-config.ts'
import { differences, type Fields, fieldsThatMention, mainDocument, pathText, showChange } from './config-fields.ts'
import { type MachineConfig, pinHostname, readControlPlaneConfig, validateMachineConfig } from './machine-config.ts'
import { installedOn, movedConfig, moveOf } from './moved-config.ts'
import { verifyTalosconfig } from './talosconfig.ts'
import type { Talosctl } from './talosctl.ts'

/**
 * Makes and checks the config for the new machine, as far as that goes without the machine: the old machine's own, or CONTROLPLANE_CONFIG,
 * with what belongs to a new address changed (scenario B), INSTALL_DISK, INSTALL_IMAGE and CONFIG_PATCH laid over it. Its secrets
 * stay. The Node keeps its name: a config that pins none gets NODE_NAME pinned, for the name that Talos makes up otherwise depends
 * on the hardware. What changes is shown, without secrets, and where the old address is left is named.
 * @param live the config that the old machine runs on, or ran on when the snapshot was taken; undefined: it is not to be had
 * @throws OperatorError when it is not a valid control plane config, has another name or other versions, or the
 *   talosconfig does not fit
 */
export async function prepareConfig(
  migration: Migration,
  talosctl: Talosctl,
  live: MachineConfig | undefined,
): Promise<MachineConfig> {
  const { settings, clock } = migration
  const source = await chooseConfig(migration, live)
  const named = await withHostname(migration, talosctl, source)
  const fitted = await changeConfig(talosctl, named, (main) => fittedTo(migration, main, named.endpoint), settings)
  const config = settings.configPatch ? await patchWith(talosctl, fitted, [settings.configPatch]) : fitted
  await validateMachineConfig(talosctl, config)
  await verifyTalosconfig(settings.talosconfig, config, clock.now())
  checkVersions(migration, config)
  showChanges(migration, source, config)
  return config
}

/** The machine is right, unless the operator says that the file is. */
async function chooseConfig({ settings, console }: Migration, live: MachineConfig | undefined): Promise<MachineConfig> {
  const { controlplaneConfig, configSource } = settings
  if (configSource === 'file') return readControlPlaneConfig(controlplaneConfig)
  if (live === undefined) {
    console.warn(`The config that the old machine ran on is not to be had here; ${controlplaneConfig} takes its place.`)
    return readControlPlaneConfig(controlplaneConfig)
  }
  const file = await readControlPlaneConfig(controlplaneConfig).catch((error: unknown) => {
    if (!(error instanceof OperatorError)) throw error
    console.info(`${error.what} It is not needed: the new machine gets ${live.origin}.`)
  })
  const differing = file ? differences(mainDocument(file.text), mainDocument(live.text)) : []
  if (differing.length > 0) {
    const paths = differing.map(({ path }) => pathText(path)).join(', ')
    console.warn(
      `The new machine gets ${live.origin}. ${controlplaneConfig} differs from it: ${paths}. (CONFIG_SOURCE=file takes the file instead.)`,
    )
  }
  return live
}

async function withHostname(migration: Migration, talosctl: Talosctl, config: MachineConfig): Promise<MachineConfig> {
  const { nodeName } = migration.settings
  if (config.hostname === nodeName) return config
  if (config.hostname !== undefined) {
    throw new OperatorError(`${config.origin} makes a Node named ${config.hostname}, and NODE_NAME is ${nodeName}.`, {
      means: 'Under another name the Node, its volumes and its labels would not be found again.',
      next: 'Correct machine.network.hostname in the config, or NODE_NAME.',
    })
  }
  migration.console.info(
    `${config.origin} pins no hostname; ${nodeName} is pinned in what is applied (the file stays as it is).`,
  )
  return pinHostname(talosctl, config, nodeName)
}

function fittedTo({ settings }: Migration, main: Fields, endpoint: string): Fields {
  const { installDisk: disk, installImage: image } = settings
  const installed = disk === undefined && image === undefined ? main : installedOn(main, { disk, image })
  const move = moveOf(settings, endpoint)
  return move ? movedConfig(installed, move) : installed
}

function showChanges({ settings, console }: Migration, source: MachineConfig, config: MachineConfig): void {
  const changes = differences(mainDocument(source.text), mainDocument(config.text))
  if (changes.length > 0) console.info(`Of ${source.origin}, for the new machine:`)
  for (const change of changes) console.info(`  ${showChange(change)}`)
  const move = moveOf(settings, source.endpoint)
  if (move === undefined) return
  const issuer = /^cluster\.apiServer\.extraArgs\.(service-account-issuer|api-audiences)$/
  const left = fieldsThatMention(config.text, move.old)
  const pinned = left.filter((field) => issuer.test(field))
  if (pinned.length > 0) {
    console.info(
      `The old address stays in ${pinned.join(' and ')}: tokens that pods hold were issued under it. Take it out when all pods have been renewed.`,
    )
  }
  const others = left.filter((field) => !issuer.test(field))
  if (others.length > 0) {
    console.warn(`The old address is left in ${others.join(', ')}: if that is wrong, change it with CONFIG_PATCH.`)
  }
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
