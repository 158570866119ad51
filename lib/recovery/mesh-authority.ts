import { readFile } from 'node:fs/promises'
import { openEncryptedFile } from '../backup/keys.ts'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Authority } from '../network/nebula/renew.ts'

/**
 * The CA of the mesh, as NEBULA_CA_CERT and NEBULA_CA_KEY name it; its key is opened only when something is signed.
 * @throws OperatorError with exit code 2 when the certificate cannot be read
 */
export async function meshAuthority(migration: Migration): Promise<Authority> {
  const { nebulaCaCert, nebulaCaKey } = migration.settings
  return {
    certificate: nebulaCaCert === undefined ? undefined : await readCertificate(nebulaCaCert),
    openKey: nebulaCaKey === undefined ? undefined : () => openEncryptedFile(migration, nebulaCaKey, 'NEBULA_CA_KEY'),
  }
}

async function readCertificate(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new OperatorError(`${file} (NEBULA_CA_CERT) cannot be read: ${messageOf(error)}`, {
      means: 'Without it no certificate can be signed. Nothing was changed.',
      next: 'Correct NEBULA_CA_CERT.',
      exitCode: 2,
    })
  })
}
