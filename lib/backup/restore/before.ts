import { createHash } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import { once } from '../archive.ts'
import { type Encryption, encryptionTo } from '../encryption.ts'

/** Keeps what is about to be overwritten, for the way back: encrypted, for it may be a Secret, and never in the journal. */
export interface Keeper {
  /** @returns the file, relative to the run's folder */
  keep(path: string, object: KubernetesObject): Promise<string>
}

/**
 * @param recipients AGE_RECIPIENTS
 * @throws OperatorError with exit code 2 when there is nobody to encrypt to
 */
export function keeperIn(runFolder: string, recipients: readonly string[]): Keeper {
  const keys = recipients.filter((recipient) => recipient.startsWith('age1'))
  if (keys.length === 0) {
    throw new OperatorError('There is no age key, so nothing is overwritten.', {
      means: 'What a restore replaces is kept first, encrypted: a Secret may be among it.',
      next: 'Set AGE_RECIPIENTS to a public key (age1…), or leave what is there alone: --conflict skip',
      exitCode: 2,
    })
  }
  const encryption = encryptionTo(keys)
  return { keep: (path, object) => keep(runFolder, encryption, path, object) }
}

async function keep(runFolder: string, encryption: Encryption, path: string, object: KubernetesObject) {
  const { uid, resourceVersion } = object.metadata
  const name = createHash('sha256').update(`${path} ${uid} ${resourceVersion}`).digest('hex').slice(0, 32)
  const file = `overwritten/${name}.json.age`
  const whole = join(runFolder, file)
  if (existsSync(whole)) return file
  await mkdir(join(runFolder, 'overwritten'), { recursive: true, mode: 0o700 })
  const text = Buffer.from(JSON.stringify(object))
  const begun = `${whole}.partial`
  await pipeline(encryption.encrypt(once(text)), createWriteStream(begun, { mode: 0o600, flush: true }))
  await rename(begun, whole)
  return file
}
