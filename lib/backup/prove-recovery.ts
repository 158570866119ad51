import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import type { Etcdutl } from '../talos/etcdutl.ts'
import { differingSecrets, type MachineConfig, parseMachineConfig } from '../talos/machine-config.ts'
import { type SnapshotInventory, takeSnapshotInventory } from '../talos/snapshot/inventory.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../talos/snapshot.ts'
import { readFinalSet } from './final-set.ts'
import type { Manifest, SnapshotEntry } from './manifest.ts'

/** What a recovery from a backup's snapshot would come to, and what that rests on. */
export interface Recovery {
  snapshot: SnapshotEntry
  inventory: SnapshotInventory
  proofs: string[]
}

/**
 * Opens the snapshot of a backup in memory: it is whole, etcdutl opens it, it is of the cluster and revision that the manifest names, and one of its Secrets
 * opens with the machine config beside it.
 * @param memoryFolder a folder in memory
 * @throws OperatorError when one of these does not hold
 */
export async function proveRecovery(
  migration: Migration,
  folder: string,
  etcdutl: Etcdutl | undefined,
  memoryFolder: string,
): Promise<Recovery> {
  const set = await readFinalSet(migration, folder)
  const { manifest } = set
  const path = await set.openSnapshot(memoryFolder)
  await checkSnapshotFile(path)
  const content = await readSnapshot(path)
  const config = parseMachineConfig(
    await set.machineConfig(migration.settings.nodeName),
    `the machine config in ${folder}`,
  )
  const { kubeSystemUid, proofs } = proveKinship(content, config, `The snapshot in ${folder}`)
  const { snapshot } = manifest
  if (!snapshot) throw new Error('openSnapshot gave a snapshot that the manifest does not name')
  const status = await etcdutl?.status(path)
  assertSame(folder, 'kube-system UID', manifest.identity.kubeSystemUid, kubeSystemUid)
  assertSame(folder, 'revision', snapshot.revision, content.revision)
  if (status) assertSame(folder, "etcdutl's hash", snapshot.hash, status.hash)
  if (status) assertSame(folder, "etcdutl's revision", snapshot.revision, status.revision)
  const opened = status ? [`etcdutl ${etcdutl?.version} opens it: hash ${status.hash}, ${status.keys} keys`] : []
  return {
    snapshot,
    inventory: await takeSnapshotInventory(path),
    proofs: [...opened, ...proofs, ...(await ofThisHomelab(migration.settings, config))],
  }
}

function assertSame(folder: string, what: string, written: string | number | undefined, found: string | number): void {
  if (written === undefined || written === found) return
  throw new OperatorError(
    `The snapshot in ${folder} is not the one of its manifest: ${what} is ${found}, and ${written} is written down.`,
    {
      means: 'Parts of different backups were mixed, or the manifest was changed.',
      next: 'Use another backup, or take a new one: task migrate:backup',
    },
  )
}

/** Somebody may have put another cluster's backup there, whole and well. */
async function ofThisHomelab({ controlplaneConfig }: Settings, config: MachineConfig): Promise<string[]> {
  if (!existsSync(controlplaneConfig)) return []
  const own = parseMachineConfig(await readFile(controlplaneConfig), controlplaneConfig)
  const differing = differingSecrets(own, config)
  if (differing.length === 0) return [`its secrets are those of ${controlplaneConfig}`]
  throw new OperatorError(
    `The backup is of another secrets bundle than ${controlplaneConfig}: ${differing.join(', ')}.`,
    {
      means: 'It was taken of another cluster, or before the secrets were changed.',
      next: 'Name the backup of this cluster (-- --backup FOLDER), or correct CONTROLPLANE_CONFIG.',
    },
  )
}

/** Says what a recovery would bring back, and what it would not. */
export function showRecovery(
  { console }: Migration,
  manifest: Manifest,
  { snapshot, inventory, proofs }: Recovery,
): void {
  const { identity, versions } = manifest
  for (const proof of proofs) console.info(`The snapshot: ${proof}.`)
  console.info(
    `A recovery would restore ${manifest.cluster} as it was at ${manifest.createdAt}, revision ${snapshot.revision}: ${inventory.objects} objects in ${inventory.namespaces} namespaces, Kubernetes ${versions.kubernetes ?? 'of unknown version'}, Talos ${versions.talos ?? 'of unknown version'}.`,
  )
  console.info(
    `Its identity: kube-system ${identity.kubeSystemUid ?? 'unknown'}, etcd cluster ${identity.etcdClusterId ?? 'unknown'}.`,
  )
  const rows = inventory.resources.slice(0, shownResources).map(({ resource, count }) => [resource, String(count)])
  console.table(
    `What is in the snapshot, the ${rows.length} most numerous of ${inventory.resources.length} resources`,
    ['resource', 'objects'],
    rows,
  )
  console.info("It would not restore the data of volumes: NFS keeps its own, local-path's lies on the machine.")
}

const shownResources = 12
