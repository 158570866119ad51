import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Decrypter } from 'age-encryption'
import test from 'ava'
import { decryptionFrom, encryptionTo, parseIdentities } from '../../lib/backup/encryption.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { chunksOf, makeKeys, scratchFolder, whole } from './keys.ts'

test('without a recipient there is no encryption, and so no backup', (t) => {
  const error = t.throws(() => encryptionTo([]), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
  t.regex(error.next ?? '', /AGE_RECIPIENTS/)
})

test('what is no recipient is refused before anything is read', (t) => {
  const error = t.throws(() => encryptionTo(['age1notakey']), { instanceOf: OperatorError })
  t.regex(error.what, /age1notakey/)
})

test('a private key in the place of a recipient is refused and not repeated', async (t) => {
  const { identityFile } = await makeKeys(await scratchFolder(t))
  const identity = /AGE-SECRET-KEY-\S+/.exec(await readFile(identityFile, 'utf8'))?.[0] ?? ''
  const error = t.throws(() => encryptionTo([identity]), { instanceOf: OperatorError })
  t.regex(error.what, /private key/)
  t.false(JSON.stringify([error.what, error.means, error.next, String(error.stack)]).includes(identity))
})

test('megabytes come back as they were, whatever the size of the chunks', async (t) => {
  const keys = await makeKeys(await scratchFolder(t))
  const decryption = await decryptionFrom(keys.identityFile)
  for (const size of [0, 1, 65_535, 65_536, 65_537, 3_000_000]) {
    const plain = randomBytes(size)
    const encrypted = await whole(
      encryptionTo([keys.recipient]).encrypt(chunksOf(plain.subarray(0, 100), plain.subarray(100))),
    )
    t.true((await whole(decryption.decrypt(chunksOf(encrypted), 'x'))).equals(plain), `${size} bytes`)
  }
})

test('the result is the plain age format, for each of several recipients', async (t) => {
  const folder = await scratchFolder(t)
  const [one, two] = [await makeKeys(folder, 'one'), await makeKeys(folder, 'two')]
  const encrypted = await whole(encryptionTo([one.recipient, two.recipient]).encrypt(chunksOf('canary')))
  t.is(encrypted.subarray(0, 22).toString(), 'age-encryption.org/v1\n')
  t.false(encrypted.includes('canary'))
  for (const { identityFile } of [one, two]) {
    const decrypter = new Decrypter()
    decrypter.addIdentity((await readFile(identityFile, 'utf8')).split('\n')[2] ?? '')
    t.is(await decrypter.decrypt(encrypted, 'text'), 'canary')
  }
})

test('another identity is told apart from a damaged file', async (t) => {
  const folder = await scratchFolder(t)
  const [right, wrong] = [await makeKeys(folder, 'right'), await makeKeys(folder, 'wrong')]
  const encrypted = await whole(encryptionTo([right.recipient]).encrypt(chunksOf('secret')))
  const foreign = whole((await decryptionFrom(wrong.identityFile)).decrypt(chunksOf(encrypted), 'file.age'))
  const error = await t.throwsAsync(foreign, { instanceOf: OperatorError })
  t.regex(error?.what ?? '', /wrong does not open file\.age/)
  t.regex(error?.next ?? '', /AGE_IDENTITY_FILE/)
  encrypted[encrypted.length - 1] = (encrypted.at(-1) ?? 0) ^ 1
  const damaged = whole((await decryptionFrom(right.identityFile)).decrypt(chunksOf(encrypted), 'file.age'))
  t.regex((await t.throwsAsync(damaged, { instanceOf: OperatorError }))?.what ?? '', /file\.age is damaged/)
})

test('an identity that is not set, not there, or no identity says which variable to set', async (t) => {
  const folder = await scratchFolder(t)
  const file = join(folder, 'id')
  for (const text of ['', '# only a comment\n', 'AGE-SECRET-KEY-1DAMAGED\n', '-----BEGIN OPENSSH PRIVATE KEY-----\n']) {
    await writeFile(file, text)
    const error = await t.throwsAsync(decryptionFrom(file), { instanceOf: OperatorError })
    t.truthy(error?.next)
  }
  for (const missing of [undefined, join(folder, 'absent')]) {
    const error = await t.throwsAsync(decryptionFrom(missing), { instanceOf: OperatorError })
    t.regex(error?.next ?? '', /AGE_IDENTITY_FILE/)
  }
})

test('a line that is no identity is named by its number and not repeated', (t) => {
  const error = t.throws(() => parseIdentities('# c\nhunter2\n', 'FILE'), { instanceOf: OperatorError })
  t.regex(error.what, /line 2/)
  t.notRegex(error.what, /hunter2/)
})
