import type { Migration } from '../migration/migration.ts'
import type { Verification } from './verify.ts'

/** Says what reading a backup back has shown. */
export function showVerification({ console, settings }: Migration, folder: string, verified: Verification): void {
  const { files, bytes, objects, opened } = verified
  console.info(`${folder}: ${objects} objects in ${files} files, ${(bytes / 1e6).toFixed(1)} MB, read back and whole.`)
  if (!opened) {
    const where = settings.ageIdentityFile ?? 'AGE_IDENTITY_FILE'
    console.warn(`The encrypted files were hashed, not opened: there is no ${where}. A recovery needs it.`)
  }
}
