import { createDecipheriv } from 'node:crypto'
import nacl from 'tweetnacl'

/** The keys under which a machine config lets the API server encrypt Secrets at rest. */
export interface EncryptionKeys {
  /** cluster.secretboxEncryptionSecret, 32 bytes */
  readonly secretbox?: Buffer
  /** cluster.aescbcEncryptionSecret, 16, 24 or 32 bytes */
  readonly aescbc?: Buffer
}

const marker = Buffer.from('k8s:enc:')
// Every object that Kubernetes stores in protobuf begins with these four bytes (apimachinery, runtime/serializer/protobuf).
const protobufMagic = Buffer.from('k8s\0')

/** How a stored value is protected: `identity` when not at all, else the provider's name (`secretbox`, `aescbc`, `kms`, …). */
export function providerOf(value: Buffer): string {
  if (!value.subarray(0, marker.length).equals(marker)) return 'identity'
  return value.toString('latin1', marker.length, Math.min(value.length, 40)).split(':')[0] ?? 'unknown'
}

/**
 * Opens a value as the API server stores it: `k8s:enc:PROVIDER:v1:KEYNAME:` and the sealed bytes, which are nonce and box for
 * secretbox (XSalsa20-Poly1305), IV and ciphertext for aescbc (Kubernetes documentation, "Encrypting Confidential Data at Rest").
 * The key's name is not looked at: Talos has one key per provider.
 * @returns the plain object (protobuf, with its magic), or null when none of the keys opens it
 */
export function decrypt(value: Buffer, keys: EncryptionKeys): Buffer | null {
  const provider = providerOf(value)
  if (provider === 'identity') return value
  const sealed = afterKeyName(value)
  if (!sealed) return null
  const plain =
    provider === 'secretbox' && keys.secretbox
      ? openSecretbox(sealed, keys.secretbox)
      : provider === 'aescbc' && keys.aescbc
        ? openAesCbc(sealed, keys.aescbc)
        : null
  // AES-CBC does not authenticate: one wrong key in 256 still gives valid padding.
  return plain && looksLikeObject(plain) ? plain : null
}

function looksLikeObject(plain: Buffer): boolean {
  return plain.subarray(0, 4).equals(protobufMagic) || (plain[0] === 0x7b && isJson(plain))
}

// The brace alone is too little: with valid padding before it, one wrong key in 65,536 would pass.
function isJson(plain: Buffer): boolean {
  try {
    JSON.parse(plain.toString('utf8'))
    return true
  } catch {
    return false
  }
}

/** `k8s:enc:secretbox:v1:key2:` has five colons before the sealed bytes. */
function afterKeyName(value: Buffer): Buffer | null {
  let at = -1
  for (let colon = 0; colon < 5; colon++) {
    at = value.indexOf(0x3a, at + 1)
    if (at < 0) return null
  }
  return value.subarray(at + 1)
}

function openSecretbox(sealed: Buffer, key: Buffer): Buffer | null {
  if (key.length !== nacl.secretbox.keyLength || sealed.length < nacl.secretbox.nonceLength) return null
  const nonce = sealed.subarray(0, nacl.secretbox.nonceLength)
  const plain = nacl.secretbox.open(sealed.subarray(nacl.secretbox.nonceLength), nonce, key)
  return plain && Buffer.from(plain)
}

function openAesCbc(sealed: Buffer, key: Buffer): Buffer | null {
  try {
    const decipher = createDecipheriv(`aes-${key.length * 8}-cbc`, key, sealed.subarray(0, 16))
    return Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()])
  } catch {
    return null
  }
}
