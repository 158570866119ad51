import type { Migration } from '../migration/migration.ts'
import type { BackupInProgress } from './begin.ts'
import type { FileEntry } from './manifest.ts'
import { writeFacts } from './seal.ts'

/** Something that is worth knowing later, readable and free of secrets. */
export interface Facts<T> {
  /** of the step */
  readonly title: string
  /** of the file in the backup */
  readonly path: string
  /** null: there is nothing of the kind here, and no file */
  readonly read: () => Promise<T | null>
  /** what the operator is told of it, line by line */
  readonly describe?: (facts: T) => string[]
}

/** Reads facts as one step of the backup, says what they come to, and writes them into it. */
export async function noteFacts<T>(
  migration: Migration,
  backup: BackupInProgress,
  { title, path, read, describe }: Facts<T>,
): Promise<FileEntry[]> {
  return migration.step(title, async () => {
    const facts = await read()
    if (facts === null) return []
    for (const line of describe?.(facts) ?? []) migration.console.info(line)
    return writeFacts(migration, backup, path, facts)
  })
}
