import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import { parseMachineConfig } from '../talos/machine-config.ts'
import { Archive, archiveName, fileContent, measure, plainContent, storedContent, unfinished } from './archive.ts'
import { manifestCode } from './authenticity.ts'
import type { Decryption } from './encryption.ts'
import { type BackupKeys, decryptionAtHand, decryptionOf, type KeyHolder, protectedIdentityFile } from './keys.ts'
import { type FileEntry, type Manifest, partialSuffix, readManifest, type SnapshotEntry } from './manifest.ts'
import { isNameOf } from './unfinished.ts'

const finalSuffix = '-final'

/** Where a snapshot and the machine configs that decrypt it lie in a backup and in a final set alike. */
export const snapshotPath = 'etcd.snapshot.gz.age'
export const machineConfigPath = (node: string) => `machineconfig/${node}.yaml.gz.age`

export interface FinalSetInfo {
  identity: Manifest['identity']
  versions: Manifest['versions']
  /** of the snapshot, as `etcdutl snapshot status` tells them, when it was asked */
  snapshot?: { hash?: string; revision?: number }
  /** default: now */
  createdAt?: Date
}

export interface FinalSet {
  manifest: Manifest
  /**
   * Decrypts the snapshot and checks it against the manifest.
   * @param memoryFolder a folder in memory (tmpfs), e.g. of withMemoryFolder
   * @returns the plain snapshot's path in there
   */
  openSnapshot(memoryFolder: string): Promise<string>
  /** The machine config of a node, by the node's name, as it was when the snapshot was taken. */
  machineConfig(node: string): Promise<Buffer>
}

/**
 * Puts the last snapshot of a cluster and the machine configs whose keys decrypt it into BACKUP_DIR as one encrypted set,
 * in the layout of a backup. Never replaces another set.
 * @param set snapshotPath: the plain snapshot, in a memory folder; machineConfigs: by the name of the node
 * @throws OperatorError without a recipient, without a machine config, or when the disk is full
 */
export async function writeFinalSet(
  settings: Pick<Settings, 'backupDir' | 'clusterName'>,
  { encryption, protectedIdentity }: BackupKeys,
  set: { snapshotPath: string; machineConfigs: Record<string, Buffer>; info: FinalSetInfo },
): Promise<{ folder: string }> {
  if (Object.keys(set.machineConfigs).length === 0) {
    throw new OperatorError('There is no machine config to keep with the snapshot.', {
      means:
        'The Secrets in a snapshot are encrypted with a key of the machine config: one without the other is worthless.',
      next: 'Check that the old machine answers: talosctl get machineconfig',
    })
  }
  await removeLeftOvers(settings)
  const createdAt = set.info.createdAt ?? new Date()
  const name = `${archiveName(settings.clusterName, createdAt)}${finalSuffix}`
  const archive = await Archive.begin(settings.backupDir, name, encryption)
  try {
    const { snapshot, file } = await addSnapshot(archive, set.snapshotPath, set.info.snapshot)
    const files = [file]
    if (protectedIdentity) files.push(await archive.add(protectedIdentityFile, protectedIdentity))
    for (const [node, config] of Object.entries(set.machineConfigs)) {
      files.push(await archive.add(machineConfigPath(node), config))
    }
    const { identity, versions } = set.info
    const rest = { cluster: settings.clusterName, createdAt: createdAt.toISOString(), identity, versions, snapshot }
    const content = { content: 'final-snapshot' as const, files, resources: [], unreadable: [], ...rest }
    return { folder: await archive.finish(content, codeWith(set.machineConfigs)) }
  } catch (error) {
    await archive.abandon()
    throw error
  }
}

/** The code that any of the control planes' configs makes. */
function codeWith(configs: Record<string, Buffer>) {
  const parsed = Object.entries(configs).map(([node, config]) => parseMachineConfig(config, `the config of ${node}`))
  const controlPlane = parsed.find(({ etcdAuthorityKey }) => etcdAuthorityKey !== undefined)
  return (manifest: Uint8Array) => controlPlane && manifestCode(controlPlane, manifest)
}

/** What a killed shutdown has left: the run's lock lets no other one of this cluster be writing it. */
async function removeLeftOvers({ backupDir, clusterName }: Pick<Settings, 'backupDir' | 'clusterName'>): Promise<void> {
  for (const folder of await unfinished(backupDir)) {
    const name = basename(folder, partialSuffix)
    if (isNameOf(clusterName, name) && name.endsWith(finalSuffix)) await rm(folder, { recursive: true, force: true })
  }
}

/** Adds a plain snapshot file to an archive, encrypted; gives what the manifest says of it. */
export async function addSnapshot(
  archive: Archive,
  file: string,
  status: { hash?: string; revision?: number } = {},
): Promise<{ snapshot: SnapshotEntry; file: FileEntry }> {
  const plain = measure()
  const entry = await archive.add(snapshotPath, plain.through(fileContent(file)))
  return {
    snapshot: { path: snapshotPath, ...status, bytes: plain.bytes(), sha256: plain.sha256() },
    file: entry,
  }
}

/**
 * Reads a set that writeFinalSet or a backup has written.
 * @param folder the set's folder, as recall('final-snapshot') or recall('backup') names it
 * @throws OperatorError when it is no whole backup; the functions of the result, when a file is missing, damaged or does not open
 */
export async function readFinalSet(holder: KeyHolder, folder: string): Promise<FinalSet> {
  const manifest = await readManifest(folder)
  // A passphrase takes a second to become a key, so that is done once.
  let opened: Promise<Decryption> | undefined
  const decryption = () => {
    opened ??= decryptionOf(holder, folder)
    return opened
  }
  return {
    manifest,
    openSnapshot: async (memoryFolder) => {
      const { snapshot } = manifest
      if (snapshot === undefined)
        throw new OperatorError(`${folder} holds no etcd snapshot.`, { next: recoverOtherwise })
      const target = join(memoryFolder, 'etcd.snapshot')
      await openSnapshot(folder, snapshot, await decryption(), target)
      return target
    },
    machineConfig: async (node) => {
      const path = machineConfigPath(node)
      const file = manifest.files.find((candidate) => candidate.path === path)
      if (file === undefined) {
        const known = manifest.files
          .filter((other) => other.path.startsWith('machineconfig/'))
          .map((other) => other.path)
        throw new OperatorError(`${folder} holds no machine config of ${node}.`, {
          means: `It holds: ${known.join(', ') || 'none'}.`,
          next: 'Check NODE_NAME.',
        })
      }
      return checkedContent(folder, file, await decryption())
    },
  }
}

/**
 * Opens what was just written, when its identity is at hand: a set that does not open is found out while the old machine still runs.
 * @param memoryFolder takes the plain snapshot in the place of the first one
 */
export async function readFinalSetBack(migration: Migration, folder: string, memoryFolder: string): Promise<void> {
  const decryption = await decryptionAtHand(migration, folder)
  if (decryption) await (await readFinalSet(migration, folder)).openSnapshot(memoryFolder)
  else migration.console.warn('It was not read back: there is no AGE_IDENTITY_FILE here, and provision will need it.')
}

const recoverOtherwise = 'Use another backup (SNAPSHOT=FILE), or rebuild from Git: RECOVERY=gitops'

async function openSnapshot(folder: string, snapshot: SnapshotEntry, decryption: Decryption, target: string) {
  const plain = measure()
  try {
    const content = plain.through(plainContent(snapshot.path, storedContent(folder, snapshot.path), decryption))
    await pipeline(content, createWriteStream(target, { mode: 0o600 }))
    if (plain.sha256() !== snapshot.sha256) throw damaged(join(folder, snapshot.path))
  } catch (error) {
    await rm(target, { force: true })
    if (error instanceof OperatorError) throw error
    throw damaged(join(folder, snapshot.path), error)
  }
}

async function checkedContent(folder: string, file: FileEntry, decryption: Decryption): Promise<Buffer> {
  const stored = measure()
  const content = stored.through(storedContent(folder, file.path))
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of plainContent(file.path, content, decryption)) chunks.push(chunk)
    if (stored.sha256() !== file.sha256) throw damaged(join(folder, file.path))
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof OperatorError) throw error
    throw damaged(join(folder, file.path), error)
  }
}

function damaged(file: string, cause?: unknown): OperatorError {
  return new OperatorError(`${file} is damaged: it is not what the manifest says.`, {
    ...(cause === undefined ? {} : { means: messageOf(cause), cause }),
    next: recoverOtherwise,
  })
}
