import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { armor, Encrypter } from 'age-encryption'
import test, { type ExecutionContext } from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { meshAuthority } from '../../lib/recovery/mesh-authority.ts'
import { makeKeys, scratchFolder } from '../backup/keys.ts'
import { testMigration } from '../kubernetes/test-migration.ts'

const key = '-----BEGIN NEBULA ED25519 PRIVATE KEY-----\nCANARY\n-----END NEBULA ED25519 PRIVATE KEY-----\n'

async function encrypted(t: ExecutionContext, armoured: boolean) {
  const folder = await scratchFolder(t)
  const { recipient, identityFile } = await makeKeys(folder)
  const encrypter = new Encrypter()
  encrypter.addRecipient(recipient)
  const bytes = await encrypter.encrypt(key)
  const file = join(folder, 'ca.key.age')
  await writeFile(file, armoured ? armor.encode(bytes) : bytes)
  return { file, folder, identityFile }
}

const authorityOf = (settings: Record<string, string>) => meshAuthority(testMigration(settings).migration)

test("the CA's key is opened with the identity, in binary and armoured", async (t) => {
  for (const armoured of [false, true]) {
    const { file, identityFile } = await encrypted(t, armoured)
    const { openKey } = await authorityOf({ NEBULA_CA_KEY: file, AGE_IDENTITY_FILE: identityFile })
    t.is(await openKey?.(), key)
  }
})

test('a key in plain is refused, and so are one that is not there and one for somebody else', async (t) => {
  const { file, folder, identityFile } = await encrypted(t, false)
  const refusal = async (keyFile: string, identity: string) => {
    const { openKey } = await authorityOf({ NEBULA_CA_KEY: keyFile, AGE_IDENTITY_FILE: identity })
    return t.throwsAsync(async () => openKey?.(), { instanceOf: OperatorError })
  }
  const plain = join(folder, 'ca.key')
  await writeFile(plain, key)
  const inPlain = await refusal(plain, identityFile)
  t.is(inPlain?.what, `${plain} (NEBULA_CA_KEY) is not encrypted.`)
  t.false(JSON.stringify({ ...inPlain }).includes('CANARY'))
  t.regex((await refusal(join(folder, 'none'), identityFile))?.what ?? '', /\(NEBULA_CA_KEY\) cannot be read/)
  const other = await makeKeys(folder, 'other.txt')
  t.regex((await refusal(file, other.identityFile))?.what ?? '', /does not open/)
})

test('without settings there is neither certificate nor key, and a certificate that is not there is an error', async (t) => {
  t.deepEqual(await authorityOf({}), { certificate: undefined, openKey: undefined })
  const error = await t.throwsAsync(authorityOf({ NEBULA_CA_CERT: '/nowhere/ca.crt' }), { instanceOf: OperatorError })
  t.is(error.exitCode, 2)
})
