import type { KubernetesApi } from '../kubernetes/api.ts'
import { otherMachines } from '../kubernetes/machines.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { withMemoryFolder } from '../migration/memory-folder.ts'
import type { Migration } from '../migration/migration.ts'
import { type Address, parseAddress } from '../network/addresses.ts'
import { ownVersion } from '../settings.ts'
import { type TakenSnapshot, takeSnapshot } from '../talos/etcd.ts'
import { etcdClusterId } from '../talos/etcd-cluster-id.ts'
import { type Etcdutl, findEtcdutl } from '../talos/etcdutl.ts'
import { liveMachineConfig, type MachineConfig, parseMachineConfig } from '../talos/machine-config.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../talos/snapshot.ts'
import { type Talosctl, type Target, talosVersion } from '../talos/talosctl.ts'
import { TalosctlError } from '../talos/talosctl-error.ts'
import type { Archive } from './archive.ts'
import { addSnapshot, machineConfigPath } from './final-set.ts'
import type { FileEntry, SnapshotEntry, UnreadableResource } from './manifest.ts'

export type SnapshotBackup = {
  snapshot: SnapshotEntry
  identity: { kubeSystemUid: string; etcdClusterId?: string }
  versions: { talos: string; kubernetes: string; talosctl: string; etcdutl?: string; talosMigrate: string }
  files: FileEntry[]
}

/**
 * Takes an etcd snapshot into memory, proves that it is whole (by etcdutl too, where it is), that it is of the cluster that KUBECONFIG leads to and that its
 * Secrets open with the machine's own config, and writes it and that config into the archive, encrypted.
 * @throws OperatorError when one of these does not hold
 */
export async function backUpSnapshot(
  migration: Migration,
  talosctl: Talosctl,
  api: KubernetesApi,
  archive: Archive,
): Promise<SnapshotBackup | undefined> {
  const { settings } = migration
  const target = { address: parseAddress(settings.nodeAddress, 'TALOS_NODE') }
  const kubeSystem = await api.get('/api/v1/namespaces/kube-system')
  const { gitVersion } = await api.get<{ gitVersion: string }>('/version')
  const etcdutl = await findEtcdutl(settings)
  if (!etcdutl) migration.console.warn(withoutEtcdutl)
  return migration.change(`Write the etcd snapshot of ${settings.nodeName}, encrypted, into ${archive.name}`, {
    apply: () =>
      withMemoryFolder(settings, async (folder) => {
        const taken = await takeSnapshot(talosctl, target, folder)
        const config = await liveMachineConfig(talosctl, target)
        const live = parseMachineConfig(config, `the config of ${target.address}`)
        const { kubeSystemUid, revision, hash } = await proveSnapshot(taken, live, etcdutl)
        if (kubeSystem.metadata.uid !== kubeSystemUid) throw twoClusters(api.server, target.address)
        const { snapshot, file } = await addSnapshot(archive, taken.path, { revision, ...(hash ? { hash } : {}) })
        const kept = await archive.add(machineConfigPath(settings.nodeName), config)
        const identity = { kubeSystemUid, ...(await clusterId(migration, talosctl, target)) }
        const talos = await talosVersion(talosctl, target)
        const tools = {
          talosctl: talosctl.version,
          ...(etcdutl ? { etcdutl: etcdutl.version } : {}),
          talosMigrate: ownVersion,
        }
        return { snapshot, identity, versions: { talos, kubernetes: gitVersion, ...tools }, files: [file, kept] }
      }),
  })
}

export const withoutEtcdutl =
  'There is no etcdutl here (PATH, ETCDUTL): the snapshot is checked by our own reader and by talosctl only.'

/** What two or three readers of the snapshot agree about. */
async function proveSnapshot(taken: TakenSnapshot, live: MachineConfig, etcdutl: Etcdutl | undefined) {
  await checkSnapshotFile(taken.path)
  const content = await readSnapshot(taken.path)
  const { kubeSystemUid } = proveKinship(content, live, 'The etcd snapshot')
  const status = await etcdutl?.status(taken.path)
  if (status && (status.revision !== content.revision || (taken.hash !== null && status.hash !== taken.hash))) {
    throw new OperatorError(
      `etcdutl reads hash ${status.hash} and revision ${status.revision} in the snapshot; talosctl hash ${taken.hash}, we revision ${content.revision}.`,
      {
        means: 'It was changed on its way, or one of the tools misreads it. No backup was made.',
        next: 'The same command again.',
      },
    )
  }
  return { kubeSystemUid, revision: content.revision, hash: status?.hash ?? taken.hash }
}

async function clusterId(
  migration: Migration,
  talosctl: Talosctl,
  target: Target,
): Promise<{ etcdClusterId?: string }> {
  const { id, reason } = await etcdClusterId(talosctl, target)
  if (id !== undefined) return { etcdClusterId: id }
  migration.console.warn(`The id of the etcd cluster is not known: ${reason}.`)
  return {}
}

function twoClusters(server: string, address: Address): OperatorError {
  return new OperatorError(`KUBECONFIG (${server}) and TALOS_NODE (${address}) lead to two different clusters.`, {
    means: "The kube-system namespace of one has another UID than in the other's etcd. No backup was made.",
    next: 'Correct KUBECONFIG or TALOS_NODE.',
  })
}

export type ConfigsBackup = { files: FileEntry[]; unreadable: UnreadableResource[] }

/**
 * Writes the machine configs that the other Talos machines run on into the archive, encrypted. A machine that does not answer is returned by name.
 */
export async function backUpMachineConfigs(
  migration: Migration,
  talosctl: Talosctl,
  api: KubernetesApi,
  archive: Archive,
): Promise<ConfigsBackup | undefined> {
  const machines = await otherMachines(api, migration.settings.nodeName)
  if (machines.length === 0) return { files: [], unreadable: [] }
  const nodes = machines.map(({ node }) => node).join(', ')
  return migration.change(`Write the machine configs of ${nodes}, encrypted, into ${archive.name}`, {
    apply: async () => {
      const kept: ConfigsBackup = { files: [], unreadable: [] }
      for (const { node, address } of machines) {
        try {
          const config = await liveMachineConfig(talosctl, { address })
          kept.files.push(await archive.add(machineConfigPath(node), config))
        } catch (error) {
          if (!(error instanceof TalosctlError)) throw error
          const machine = { group: 'talos', version: 'v1alpha1', resource: 'machineconfig', name: node }
          kept.unreadable.push({ ...machine, reason: messageOf(error) })
        }
      }
      return kept
    },
  })
}
