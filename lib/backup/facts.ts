import type { Migration } from '../migration/migration.ts'
import type { BackupInProgress } from './begin.ts'
import type { FileEntry } from './manifest.ts'
import { writeFacts } from './seal.ts'

/** Something that is worth knowing later, readable and free of secrets. */
export interface Facts<T = unknown> {
  /** of the step that reads it */
  readonly title: string
  /** of the file in the backup */
  readonly path: string
  /** null: there is nothing of the kind here, and no file */
  read(): Promise<T | null>
  /** what the operator is told of it, line by line */
  describe?(facts: T): string[]
}

/** Reads facts, each as one step of the backup, says what they come to, and writes them into it. */
export async function noteFacts(
  migration: Migration,
  backup: BackupInProgress,
  all: readonly Facts[],
): Promise<FileEntry[]> {
  const files: FileEntry[] = []
  for (const facts of all) files.push(...(await migration.step(facts.title, () => note(migration, backup, facts))))
  return files
}

async function note(migration: Migration, backup: BackupInProgress, facts: Facts): Promise<FileEntry[]> {
  const read = await facts.read()
  if (read === null) return []
  for (const line of facts.describe?.(read) ?? []) migration.console.info(line)
  return writeFacts(migration, backup, facts.path, read)
}
