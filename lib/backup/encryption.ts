import { readFile } from 'node:fs/promises'
import { armor, Decrypter, Encrypter, identityToRecipient } from 'age-encryption'
import { messageOf, OperatorError } from '../migration/errors.ts'

export type Bytes = AsyncIterable<Uint8Array>

/** Encrypts to all recipients of the settings. Nothing but ciphertext ever comes out of it. */
export interface Encryption {
  readonly recipients: readonly string[]
  encrypt(plain: Bytes): AsyncGenerator<Uint8Array>
}

/** Decrypts with the identities of one identity file. */
export interface Decryption {
  readonly identityFile: string
  /** The public halves of the identities. */
  readonly recipients: readonly string[]
  /** @param name the file being read, for the error when it does not open */
  decrypt(encrypted: Bytes, name: string): AsyncGenerator<Uint8Array>
}

/**
 * age encryption to X25519 and post-quantum recipients (https://age-encryption.org/v1), streamed in chunks of 64 KiB.
 * @param recipients public keys, each beginning with `age1`
 * @throws OperatorError (exit code 2) when there is no recipient, or one that is not a valid public key
 */
export function encryptionTo(recipients: readonly string[]): Encryption {
  if (recipients.length === 0) {
    throw new OperatorError('There is no age recipient, so the backup is refused.', {
      means: 'It would hold Secrets, machine configs and an etcd snapshot, and those are never written in plain.',
      next: 'Make a key with "age-keygen -o FILE", keep FILE off this cluster, and set AGE_RECIPIENTS to its public key.',
      exitCode: 2,
    })
  }
  const encrypterOf = () => {
    const encrypter = new Encrypter()
    for (const recipient of recipients) addRecipient(encrypter, recipient)
    return encrypter
  }
  encrypterOf()
  return {
    recipients,
    encrypt: async function* (plain) {
      yield* await encrypterOf().encrypt(ReadableStream.from(plain))
    },
  }
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient)
  } catch (error) {
    const isPrivate = recipient.startsWith('AGE-SECRET-KEY-')
    // A private key pasted into the wrong variable must not be repeated on the screen.
    throw new OperatorError(
      isPrivate ? 'AGE_RECIPIENTS holds a private key.' : `AGE_RECIPIENTS: ${recipient} is no age recipient.`,
      {
        means: isPrivate ? 'A recipient is the public half.' : messageOf(error),
        next: 'Use the line "public key: age1…" that age-keygen printed, or run: age-keygen -y FILE',
        exitCode: 2,
      },
    )
  }
}

/**
 * The identities of AGE_IDENTITY_FILE, in the format that age-keygen writes: one per line, `#` for comments.
 * @throws OperatorError when the variable is not set, or the file is absent, or holds no usable identity
 */
export async function decryptionFrom(identityFile: string | undefined): Promise<Decryption> {
  if (identityFile === undefined) {
    throw new OperatorError('The backup is encrypted, and no identity to open it with is set.', {
      means: 'AGE_IDENTITY_FILE is the private half of AGE_RECIPIENTS.',
      next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.',
    })
  }
  const text = await readFile(identityFile, 'utf8').catch((error: unknown) => {
    throw new OperatorError(`The identity file ${identityFile} cannot be read: ${messageOf(error)}`, {
      next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.',
      cause: error,
    })
  })
  return decryptionWith(parseIdentities(text, identityFile), identityFile)
}

/**
 * Decrypts with identities that are at hand.
 * @param origin the file that they were read from, for messages
 * @throws OperatorError when one of them is damaged
 */
export async function decryptionWith(identities: readonly string[], origin: string): Promise<Decryption> {
  const recipients = await Promise.all(identities.map((identity) => recipientOf(identity, origin)))
  return {
    identityFile: origin,
    recipients,
    decrypt: (encrypted, name) => decrypt(identities, origin, encrypted, name),
  }
}

/**
 * Puts an identity behind a passphrase, as `age -p` does with an identity file (scrypt, work factor 18: about a second).
 * Source: https://age-encryption.org/v1, "The scrypt recipient type"
 */
export async function protectIdentity(identity: string, passphrase: string): Promise<Uint8Array> {
  const encrypter = new Encrypter()
  encrypter.setPassphrase(passphrase)
  return encrypter.encrypt(`${identity}\n`)
}

/**
 * The identities in a file that `age -p` or protectIdentity has made, armoured or not.
 * @returns undefined when the passphrase is not the one
 * @throws OperatorError when it is no such file
 */
export async function openIdentities(
  content: Uint8Array,
  passphrase: string,
  origin: string,
): Promise<string[] | undefined> {
  const decrypter = new Decrypter()
  decrypter.addPassphrase(passphrase)
  try {
    return parseIdentities(await decrypter.decrypt(withoutArmour(content), 'text'), origin)
  } catch (error) {
    if (error instanceof OperatorError) throw error
    if (messageOf(error).includes('no identity matched')) return undefined
    throw new OperatorError(`${origin} is damaged, or no passphrase opens it: ${messageOf(error)}.`, {
      next: 'Set AGE_IDENTITY_FILE to the identity of a recipient that manifest.json names.',
      cause: error,
    })
  }
}

/** The binary form of an age file, armoured or not. */
export function withoutArmour(content: Uint8Array): Uint8Array {
  const text = Buffer.from(content).toString('latin1')
  return text.startsWith('-----BEGIN') ? armor.decode(text) : content
}

/**
 * The identities in the text of an identity file.
 * @throws OperatorError naming the line that is none, without repeating it
 */
export function parseIdentities(text: string, origin: string): string[] {
  if (text.startsWith('age-encryption.org/') || text.startsWith('-----BEGIN')) {
    const ssh = text.includes('PRIVATE KEY')
    throw new OperatorError(`${origin} is ${ssh ? 'an SSH or PEM key' : 'an identity behind a passphrase'}.`, {
      means: 'Only native age identities (AGE-SECRET-KEY-1…) can be used.',
      next: ssh
        ? 'Make an age key with age-keygen, and use its public key in AGE_RECIPIENTS.'
        : 'Run it in a terminal, where the passphrase can be asked for.',
    })
  }
  const lines = text.split('\n').map((line) => line.trim())
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'))
  const wrong = lines.findIndex((line) => line !== '' && !/^(#|AGE-SECRET-KEY-(PQ-)?1)/.test(line))
  if (wrong !== -1 || identities.length === 0) {
    throw new OperatorError(
      wrong === -1
        ? `${origin} holds no age identity.`
        : `${origin}, line ${wrong + 1}, is neither an age identity nor a comment.`,
      { next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.' },
    )
  }
  return identities
}

async function recipientOf(identity: string, origin: string): Promise<string> {
  try {
    return await identityToRecipient(identity)
  } catch {
    // The library's message may quote the key.
    throw new OperatorError(`${origin} holds a damaged age identity.`, {
      next: 'Set AGE_IDENTITY_FILE to the file that age-keygen wrote.',
    })
  }
}

async function* decrypt(identities: readonly string[], origin: string, encrypted: Bytes, name: string) {
  const decrypter = new Decrypter()
  for (const identity of identities) decrypter.addIdentity(identity)
  try {
    yield* await decrypter.decrypt(ReadableStream.from(encrypted))
  } catch (error) {
    if (error instanceof OperatorError) throw error
    if (!messageOf(error).includes('no identity matched')) {
      throw new OperatorError(`${name} is damaged: it does not decrypt (${messageOf(error)}).`, { cause: error })
    }
    throw new OperatorError(`The identity in ${origin} does not open ${name}.`, {
      means: 'The file was encrypted to another key.',
      next: 'Set AGE_IDENTITY_FILE to the identity of one of the recipients that manifest.json names.',
      cause: error,
    })
  }
}
