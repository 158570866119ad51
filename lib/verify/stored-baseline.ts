import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { type Baseline, baselineSchema } from './baseline.ts'

const backupFact = z.looseObject({ folder: z.string() })

/**
 * The baseline that this run's backup has stored, or null if the run has none.
 * @throws OperatorError when the file is gone or is no baseline of this version
 */
export async function storedBaseline(migration: Migration): Promise<Baseline | null> {
  const backup = migration.recall('backup', backupFact)
  if (backup === undefined) return null
  const path = join(backup.folder, 'baseline.json')
  try {
    return baselineSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new OperatorError(`The baseline ${path} cannot be used: ${messageOf(error)}`, {
      means: 'Without it nobody can tell what was broken before.',
      next: 'Is BACKUP_DIR mounted? Else take a new one while the old cluster still runs: task migrate:backup',
      cause: error,
    })
  }
}
