import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Address } from '../network/addresses.ts'
import { bootstrapEmpty, bootstrapFrom } from './bootstrap.ts'
import { oneHealthyVoter } from './etcd.ts'
import type { MachineConfig } from './machine-config.ts'
import { finalSnapshot, oldMachineOff } from './old-machine.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from './snapshot.ts'
import type { Talosctl } from './talosctl.ts'

/** What is read of a backup set here; lib/backup's final set is one. */
export interface SnapshotSet {
  /** decrypts into a memory folder, gives the plain file's path */
  openSnapshot(memoryFolder: string): Promise<string>
}

/** Where the cluster's state comes from. */
export interface SnapshotSource {
  /** a path, for messages */
  origin: string
  /** gives the path of the plain file */
  open(memoryFolder: string): Promise<string>
}

/**
 * Chooses what etcd is recovered from: SNAPSHOT (a plain file, a backup's folder, or the encrypted snapshot in one), else the final
 * snapshot of this run, and that only after this run has proven the old machine off.
 * @throws OperatorError when there is none
 */
export async function chooseSnapshot(
  migration: Migration,
  readSet: (folder: string) => Promise<SnapshotSet>,
): Promise<SnapshotSource> {
  const { snapshotFile } = migration.settings
  if (snapshotFile !== undefined) return named(snapshotFile, readSet)
  const off = migration.recall('old-machine-off', oldMachineOff)
  const taken = migration.recall('final-snapshot', finalSnapshot)
  if (off && taken) return fromSet(taken.folder, readSet)
  const backup = migration.dryRun ? migration.recall('backup', z.object({ folder: z.string() }).loose()) : undefined
  if (backup) {
    migration.console.info(`There is no final snapshot yet; the one of the backup stands in for it in this dry run.`)
    return fromSet(backup.folder, readSet)
  }
  throw new OperatorError(
    off ? 'This run has no final snapshot.' : 'This run has not proven the old machine to be off.',
    {
      means: 'Nothing may be recovered while the cluster could still be running elsewhere.',
      next: 'First: task migrate:shutdown. If the old machine is lost, name a snapshot: task migrate:provision SNAPSHOT=<backup folder or file>',
    },
  )
}

async function named(path: string, readSet: (folder: string) => Promise<SnapshotSet>): Promise<SnapshotSource> {
  const there = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new OperatorError(`There is no ${path} (SNAPSHOT; ${cause.code}).`, { next: 'Correct SNAPSHOT.', cause })
  })
  if (there.isDirectory()) return fromSet(path, readSet)
  if (path.endsWith('.age')) return fromSet(dirname(path), readSet)
  return { origin: path, open: async () => path }
}

/** The snapshot of a set that was read already. */
export function snapshotOfSet(folder: string, set: SnapshotSet): SnapshotSource {
  return { origin: folder, open: (memoryFolder) => set.openSnapshot(memoryFolder) }
}

function fromSet(folder: string, readSet: (folder: string) => Promise<SnapshotSet>): SnapshotSource {
  return { origin: folder, open: async (memoryFolder) => (await readSet(folder)).openSnapshot(memoryFolder) }
}

/** What the snapshot says of itself, JSON, no secret. */
export type CheckedSnapshot = { origin: string; revision: number; secrets: number; kubeSystemUid: string }

/**
 * Checks a snapshot against the config that will be applied, before anything is.
 * @param folder a memory folder
 * @throws OperatorError when it is cut off or damaged, or belongs to another secrets bundle
 */
export async function checkSnapshot(
  migration: Migration,
  source: SnapshotSource,
  config: MachineConfig,
  folder: string,
): Promise<CheckedSnapshot> {
  const path = await source.open(folder)
  const { bytes } = await checkSnapshotFile(path)
  const content = await readSnapshot(path)
  const { kubeSystemUid, proofs } = proveKinship(content, config, source.origin)
  migration.console.info(`${source.origin}: revision ${content.revision}, ${bytes} bytes; ${proofs.join('; ')}.`)
  return { origin: source.origin, revision: content.revision, secrets: content.secrets, kubeSystemUid }
}

/**
 * Recovers etcd on the new machine and waits until it is one healthy voter. After a kill in between it goes on with what was begun;
 * that it is the right cluster is proven afterwards, through its API.
 * @param folder a memory folder
 * @param runs waits until the machine runs with its config; the snapshot is opened meanwhile, for the cluster is down
 * @throws OperatorError when etcd does not become healthy in settings.apiTimeout
 */
export async function recoverEtcd(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  source: SnapshotSource,
  folder: string,
  runs: () => Promise<unknown>,
): Promise<void> {
  const { apiTimeout } = migration.settings
  const [path] = await Promise.all([migration.dryRun ? '' : openWhole(source, folder), runs()])
  const what = `Recover etcd on ${address} from ${source.origin}`
  const mayBeGiven = migration.journal.standingChange(what) !== undefined
  await migration.change(what, {
    undo: { kind: 'etcd', address },
    apply: async () => {
      const outcome = await migration.wait(bootstrapFrom(talosctl, { address }, path, apiTimeout, mayBeGiven))
      if (outcome === 'had-data')
        migration.console.info(`etcd on ${address} was bootstrapped before; it is kept and checked.`)
    },
  })
  await migration.wait(oneHealthyVoter(talosctl, { address }, apiTimeout))
}

/** talosctl panics on one that is cut off. */
async function openWhole(source: SnapshotSource, folder: string): Promise<string> {
  const path = await source.open(folder)
  await checkSnapshotFile(path)
  return path
}

/**
 * Begins a new, empty etcd on the new machine and waits until it is one healthy voter. After a kill in between it goes on with what was
 * begun; that it is a new cluster is proven afterwards, through its API.
 * @throws OperatorError when etcd does not become healthy in settings.apiTimeout
 */
export async function beginEtcd(migration: Migration, talosctl: Talosctl, address: Address): Promise<void> {
  const { apiTimeout } = migration.settings
  const what = `Begin a new etcd on ${address}`
  const mayBeGiven = migration.journal.standingChange(what) !== undefined
  await migration.change(what, {
    undo: { kind: 'etcd', address },
    apply: async () => {
      const outcome = await migration.wait(bootstrapEmpty(talosctl, { address }, apiTimeout, mayBeGiven))
      if (outcome === 'had-data')
        migration.console.info(`etcd on ${address} was bootstrapped before; it is kept and checked.`)
    },
  })
  await migration.wait(oneHealthyVoter(talosctl, { address }, apiTimeout))
}
