import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { messageOf, OperatorError } from '../migration/errors.ts'
import type { Prompt } from '../migration/prompt.ts'
import type { Settings } from '../settings.ts'
import { once } from './archive.ts'
import {
  type Decryption,
  decryptionFrom,
  decryptionWith,
  type Encryption,
  encryptionTo,
  openIdentities,
  protectIdentity,
  withoutArmour,
} from './encryption.ts'

/** The word in AGE_RECIPIENTS that lets a passphrase open the backup. */
const passphraseWord = 'passphrase'
const question = 'Passphrase of the backup'
const tries = 3

/**
 * Where an identity behind a passphrase lies in a backup that a passphrase opens. It is what `age -p` makes, so that `age -d -i` takes it;
 * deriving a key from a passphrase takes a second, so that it is done once for a backup and not for each of its files.
 */
export const protectedIdentityFile = 'identity.passphrase'

/** Who opens a backup, and asks the operator when a passphrase does. */
export interface KeyHolder {
  readonly settings: Pick<Settings, 'ageIdentityFile'>
  readonly prompt: Prompt
}

/** What a new backup is encrypted with. */
export interface BackupKeys {
  encryption: Encryption
  /** the content of `identity.passphrase`, where a passphrase opens the backup */
  protectedIdentity: Uint8Array | undefined
}

/**
 * The keys of a new backup: the recipients of AGE_RECIPIENTS, and, for the word `passphrase` among them, an identity that only the passphrase
 * opens. It is a new one, and the passphrase is asked for twice, unless `folder` has one already, as the backup of the same evening does.
 * @param folder of a backup whose passphrase is to open the new one too
 * @throws OperatorError (exit code 2) without a recipient, or where nobody can be asked
 */
export async function keysFor(
  { settings, prompt, dryRun }: KeyHolder & { settings: Pick<Settings, 'ageRecipients'>; dryRun: boolean },
  folder?: string,
): Promise<BackupKeys> {
  const named = settings.ageRecipients.filter((recipient) => recipient !== passphraseWord)
  if (named.length === settings.ageRecipients.length) {
    return { encryption: encryptionTo(named), protectedIdentity: undefined }
  }
  const file = folder === undefined ? undefined : join(folder, protectedIdentityFile)
  if (file !== undefined && existsSync(file) && !dryRun) {
    const content = await readFile(file)
    const identities = await unlocked(content, file, prompt)
    if (identities === undefined) throw nobodyToAsk()
    const { recipients } = await decryptionWith(identities, file)
    return { encryption: encryptionTo([...named, ...recipients]), protectedIdentity: content }
  }
  const identity = await generateX25519Identity()
  // A dry run encrypts nothing, so nobody is asked.
  const passphrase = dryRun ? '' : await newPassphrase(prompt)
  const protectedIdentity = dryRun ? undefined : await protectIdentity(identity, passphrase)
  return { encryption: encryptionTo([...named, await identityToRecipient(identity)]), protectedIdentity }
}

async function newPassphrase(prompt: Prompt): Promise<string> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const again = attempt > 1
    const passphrase = await prompt.secret(question, { again })
    if (passphrase === undefined) throw nobodyToAsk()
    if (passphrase !== '' && (await prompt.secret('The same once more', { again })) === passphrase) return passphrase
  }
  throw new OperatorError('No passphrase was typed twice alike.', {
    means: 'A mistyped one would make a backup that nobody can open. None was begun.',
    next: 'The same command again.',
    exitCode: 2,
  })
}

/**
 * What opens a backup: the identities of AGE_IDENTITY_FILE, else the passphrase of the backup's own identity, asked for.
 * @param folder the backup's
 * @throws OperatorError when neither is to be had, or the passphrase is wrong three times
 */
export async function decryptionOf(holder: KeyHolder, folder: string): Promise<Decryption> {
  const found = await decryptionAtHand(holder, folder)
  return found ?? decryptionFrom(holder.settings.ageIdentityFile)
}

/**
 * As decryptionOf; undefined when no identity is at hand, or nobody can be asked for the passphrase: a careful operator keeps it off this machine until it is
 * needed, and a backup does not need it.
 * @param folder the backup's; without it only AGE_IDENTITY_FILE is looked at
 */
export async function decryptionAtHand(holder: KeyHolder, folder?: string): Promise<Decryption | undefined> {
  const own = folder === undefined ? undefined : join(folder, protectedIdentityFile)
  for (const file of [holder.settings.ageIdentityFile, own]) {
    if (file === undefined || !existsSync(file)) continue
    const content = await readFile(file)
    if (!isProtected(content)) return decryptionFrom(file)
    const identities = await unlocked(content, file, holder.prompt)
    if (identities) return decryptionWith(identities, file)
  }
  return undefined
}

/**
 * Opens a file that was encrypted with age, armoured or not; what was in it is in memory only.
 * @param variable the setting that names it, for errors
 * @throws OperatorError when it is not there, is in plain, or does not open
 */
export async function openEncryptedFile(holder: KeyHolder, file: string, variable: string): Promise<string> {
  const content = await readFile(file).catch((error: unknown) => {
    throw new OperatorError(`${file} (${variable}) cannot be read: ${messageOf(error)}`, { cause: error, exitCode: 2 })
  })
  if (!isProtected(content)) {
    throw new OperatorError(`${file} (${variable}) is not encrypted.`, {
      means: 'A key is never taken from a disk in plain.',
      next: `age -e -r age1… -o ${file}.age ${file}; remove the plain one, and set ${variable} to ${file}.age`,
      exitCode: 2,
    })
  }
  const { decrypt } = (await decryptionAtHand(holder)) ?? (await decryptionFrom(holder.settings.ageIdentityFile))
  const chunks: Uint8Array[] = []
  for await (const chunk of decrypt(once(withoutArmour(content)), file)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function unlocked(content: Uint8Array, file: string, prompt: Prompt): Promise<string[] | undefined> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const passphrase = await prompt.secret(question, { again: attempt > 1 })
    if (passphrase === undefined) return undefined
    const identities = await openIdentities(content, passphrase, file)
    if (identities) return identities
  }
  throw new OperatorError(`The passphrase does not open ${file}.`, {
    means: 'It was made for another one. Nothing was decrypted.',
    next: 'Look for the right one, and repeat; or set AGE_IDENTITY_FILE to the identity of another recipient that manifest.json names.',
  })
}

/** Whether it is an age file, whose beginning is the version line, in binary or armoured. Source: https://age-encryption.org/v1 */
function isProtected(content: Uint8Array): boolean {
  const beginning = Buffer.from(content.subarray(0, 40)).toString('latin1')
  return beginning.startsWith('age-encryption.org/') || beginning.startsWith('-----BEGIN AGE ENCRYPTED FILE-----')
}

function nobodyToAsk(): OperatorError {
  return new OperatorError(
    'AGE_RECIPIENTS says that a passphrase opens the backup, and there is no terminal to ask for it.',
    {
      means: 'A passphrase is never taken from a file, an argument or the environment.',
      next: 'Run it in a terminal, or set AGE_RECIPIENTS to a public key (age1…).',
      exitCode: 2,
    },
  )
}
