import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Migration } from '../migration/migration.ts'
import { backupFolder } from './begin.ts'
import { keysFor } from './keys.ts'

/**
 * What writes a secret to a file, encrypted as the run's backup is (0600).
 * @throws OperatorError (exit code 2) without a recipient, or where nobody can be asked for a passphrase
 */
export async function encryptToFile(migration: Migration): Promise<(plain: Buffer, path: string) => Promise<void>> {
  const { encryption } = await keysFor(migration, backupFolder(migration))
  return (plain, path) => pipeline(encryption.encrypt(Readable.from([plain])), createWriteStream(path, { mode: 0o600 }))
}
