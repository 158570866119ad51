import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { withMemoryFolder } from '../migration/memory-folder.ts'
import type { Migration } from '../migration/migration.ts'
import { type Address, parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { takeSnapshot } from '../talos/etcd.ts'
import { liveMachineConfig, parseMachineConfig } from '../talos/machine-config.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../talos/snapshot.ts'
import { type Talosctl, talosVersion } from '../talos/talosctl.ts'
import type { Archive } from './archive.ts'
import { addSnapshot, machineConfigPath } from './final-set.ts'
import type { FileEntry, SnapshotEntry, UnreadableResource } from './manifest.ts'

export type SnapshotBackup = {
  snapshot: SnapshotEntry
  identity: { kubeSystemUid: string }
  versions: { talos: string; kubernetes: string; talosctl: string }
  files: FileEntry[]
}

/**
 * Takes an etcd snapshot into memory, proves that it is whole, that it is of the cluster that KUBECONFIG leads to and that its
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
  const address = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const kubeSystem = await api.get('/api/v1/namespaces/kube-system')
  const { gitVersion } = await api.get<{ gitVersion: string }>('/version')
  return migration.change(`Write the etcd snapshot of ${settings.nodeName}, encrypted, into ${archive.name}`, {
    apply: () =>
      withMemoryFolder(settings, async (folder) => {
        const { path, hash } = await takeSnapshot(talosctl, { address }, folder)
        await checkSnapshotFile(path)
        const { revision, ...content } = await readSnapshot(path)
        const config = await liveMachineConfig(talosctl, { address })
        const live = parseMachineConfig(config, `the config of ${address}`)
        const { kubeSystemUid } = proveKinship({ revision, ...content }, live, 'The etcd snapshot')
        if (kubeSystem.metadata.uid !== kubeSystemUid) throw twoClusters(api.server, address)
        const { snapshot, file } = await addSnapshot(archive, path, { revision, ...(hash ? { hash } : {}) })
        const kept = await archive.add(machineConfigPath(settings.nodeName), config)
        const talos = await talosVersion(talosctl, { address })
        const versions = { talos, kubernetes: gitVersion, talosctl: talosctl.version }
        return { snapshot, identity: { kubeSystemUid }, versions, files: [file, kept] }
      }),
  })
}

function twoClusters(server: string, address: Address): OperatorError {
  return new OperatorError(`KUBECONFIG (${server}) and TALOS_NODE (${address}) lead to two different clusters.`, {
    means: "The kube-system namespace of one has another UID than in the other's etcd. No backup was made.",
    next: 'Correct KUBECONFIG or TALOS_NODE.',
  })
}

export type ConfigsBackup = { files: FileEntry[]; unreadable: UnreadableResource[] }

/**
 * Writes the machine configs that the other Talos machines run on, the control plane's config of the homelab, talosconfig,
 * kubeconfig and the secrets bundle into the archive, encrypted. A machine that does not answer is returned by name.
 * @throws OperatorError when one of the files is not there
 */
export async function backUpConfigs(
  migration: Migration,
  talosctl: Talosctl,
  api: KubernetesApi,
  archive: Archive,
): Promise<ConfigsBackup | undefined> {
  const { settings } = migration
  const machines = otherMachines(await api.list('/api/v1/nodes'), settings.nodeName)
  const files = configFiles(settings)
  const paths = [...files.map(({ path }) => path), ...machines.map(({ node }) => machineConfigPath(node))]
  return migration.change(`Write ${paths.join(', ')} into ${archive.name}`, {
    apply: async () => {
      const kept: ConfigsBackup = { files: [], unreadable: [] }
      for (const { path, file, variable } of files) kept.files.push(await archive.add(path, await read(file, variable)))
      for (const { node, address } of machines) {
        try {
          const config = await liveMachineConfig(talosctl, { address })
          kept.files.push(await archive.add(machineConfigPath(node), config))
        } catch (error) {
          const machine = { group: 'talos', version: 'v1alpha1', resource: 'machineconfig', name: node }
          kept.unreadable.push({ ...machine, reason: messageOf(error) })
        }
      }
      return kept
    },
  })
}

function configFiles(settings: Settings): { path: string; file: string; variable: string }[] {
  const { talosconfig, kubeconfig, controlplaneConfig, secretsBundle } = settings
  const controlplane = `configs/${basename(controlplaneConfig)}.age`
  return [
    { path: 'talosconfig.age', file: talosconfig, variable: 'TALOSCONFIG' },
    { path: 'kubeconfig.age', file: kubeconfig, variable: 'KUBECONFIG' },
    { path: controlplane, file: controlplaneConfig, variable: 'CONTROLPLANE_CONFIG' },
    ...(secretsBundle ? [{ path: 'secrets.yaml.age', file: secretsBundle, variable: 'SECRETS_BUNDLE' }] : []),
  ]
}

async function read(file: string, variable: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new OperatorError(`${file} cannot be read: ${messageOf(error)}`, {
      means: 'Without it the backup would not be complete.',
      next: `Set ${variable} to the right file.`,
      cause: error,
    })
  })
}

/** The nodes that are Talos machines: Liqo's virtual nodes and the like have none. Their OS image begins with the name. */
function otherMachines(nodes: KubernetesObject[], nodeName: string): { node: string; address: Address }[] {
  return nodes.flatMap(({ metadata, status }) => {
    const { addresses = [], nodeInfo } = (status ?? {}) as NodeStatus
    const address = addresses.find(({ type }) => type === 'InternalIP')?.address
    if (metadata.name === nodeName || address === undefined || !nodeInfo?.osImage?.startsWith('Talos')) return []
    return [{ node: metadata.name, address: parseAddress(address, `the address of Node ${metadata.name}`) }]
  })
}

interface NodeStatus {
  addresses?: { type: string; address: string }[]
  nodeInfo?: { osImage?: string }
}
