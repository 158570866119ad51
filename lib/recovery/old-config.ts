import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backupFolder } from '../backup/begin.ts'
import { readFinalSet } from '../backup/final-set.ts'
import type { Migration } from '../migration/migration.ts'
import { type MachineConfig, parseMachineConfig } from '../talos/machine-config.ts'
import { finalSnapshot } from '../talos/old-machine.ts'

/**
 * The config that the old machine ran on, as it lies beside the snapshot that is recovered: in the set that SNAPSHOT names, in this run's
 * final set, or in its backup.
 * @returns undefined for a snapshot that stands alone, when there is none of the three, and when CONFIG_SOURCE says that it is not asked for
 * @throws OperatorError when the set is damaged, does not open, or has no config of NODE_NAME
 */
export async function oldConfig(migration: Migration): Promise<MachineConfig | undefined> {
  const { nodeName, configSource } = migration.settings
  const folder = configSource === 'live' ? await setOf(migration) : undefined
  if (folder === undefined) return undefined
  const set = await readFinalSet(migration, folder)
  return parseMachineConfig(await set.machineConfig(nodeName), `the config that ${nodeName} ran on (${folder})`)
}

async function setOf(migration: Migration): Promise<string | undefined> {
  const { snapshotFile } = migration.settings
  if (snapshotFile?.endsWith('.age')) return dirname(snapshotFile)
  if (snapshotFile !== undefined) return (await stat(snapshotFile)).isDirectory() ? snapshotFile : undefined
  return migration.recall('final-snapshot', finalSnapshot)?.folder ?? backupFolder(migration)
}
