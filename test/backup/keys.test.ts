import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Encrypter } from 'age-encryption'
import test, { type ExecutionContext } from 'ava'
import { Archive } from '../../lib/backup/archive.ts'
import { decryptionAtHand, decryptionOf, keysFor, protectedIdentityFile } from '../../lib/backup/keys.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { catalogue } from '../../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../../lib/rehearsal/binaries.ts'
import { atTerminal } from '../at-terminal.ts'
import { makeKeys, operatorWho, scratchFolder, whole } from './keys.ts'

const tools = await ensureTools(catalogue(['age']), { progress: { info: () => {} } as never })
const age = tools.get('age')?.path ?? 'age'
const secret = 'the plain text of a secret\n'
const passphrase = 'correct horse battery staple'

const holder = (ageRecipients: string[], ...answers: string[]) => {
  const prompt = operatorWho(...answers)
  return { settings: { ageRecipients, ageIdentityFile: undefined }, prompt, dryRun: false }
}

/** A backup of one secret file, which a passphrase opens, and more recipients if they are given. */
async function backupBehindPassphrase(t: ExecutionContext, recipients: string[] = []) {
  const scratch = await scratchFolder(t)
  const keys = await keysFor(holder(['passphrase', ...recipients], passphrase, passphrase))
  const archive = await Archive.begin(join(scratch, 'b'), 'x', keys.encryption)
  const files = [
    await archive.add(protectedIdentityFile, keys.protectedIdentity ?? Buffer.alloc(0)),
    await archive.add('secret.gz.age', Buffer.from(secret)),
  ]
  const about = { content: 'backup', cluster: 'c', createdAt: '2026-01-01T00:00:00.000Z' } as const
  return {
    scratch,
    folder: await archive.finish({ ...about, files, resources: [], unreadable: [], identity: {}, versions: {} }),
  }
}

async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(file)
}

test('a passphrase is asked for twice when a backup begins, and once when it is opened', async (t) => {
  const { folder } = await backupBehindPassphrase(t)
  const reader = holder([], passphrase)
  const decryption = await decryptionOf(reader, folder)
  t.deepEqual(reader.prompt.asked.length, 1)
  const opened = await whole(decryption.decrypt(bytesOf(join(folder, 'secret.gz.age')), 'secret'))
  t.true(opened.length > 0)
})

test('a wrong passphrase is asked for again, and refused after the third time', async (t) => {
  const { folder } = await backupBehindPassphrase(t)
  t.truthy(await decryptionAtHand(holder([], 'wrong', passphrase), folder))
  const error = await t.throwsAsync(decryptionOf(holder([], 'a', 'b', 'c'), folder), { instanceOf: OperatorError })
  t.regex(error.what, /passphrase does not open .*identity\.passphrase/)
})

test('two answers that differ make no backup, and neither does nobody at the terminal', async (t) => {
  const answers = ['a', 'b', 'c', 'd', 'e', 'f']
  const unlike = await t.throwsAsync(keysFor(holder(['passphrase'], ...answers)), { instanceOf: OperatorError })
  t.regex(unlike.what, /No passphrase was typed twice alike/)
  t.is(unlike.exitCode, 2)
  const nobody = await t.throwsAsync(keysFor(holder(['passphrase'])), { instanceOf: OperatorError })
  t.regex(nobody.what, /no terminal to ask/)
})

test('a dry run asks nobody', async (t) => {
  const someone = { ...holder(['passphrase']), dryRun: true }
  t.is((await keysFor(someone)).protectedIdentity, undefined)
  t.deepEqual(someone.prompt.asked, [])
})

test('what comes after a backup in the same evening takes its passphrase, and so cannot be mistyped', async (t) => {
  const { folder } = await backupBehindPassphrase(t)
  const keys = await keysFor(holder(['passphrase'], passphrase), folder)
  t.true(readFileSync(join(folder, protectedIdentityFile)).equals(keys.protectedIdentity ?? Buffer.alloc(0)))
  await t.throwsAsync(keysFor(holder(['passphrase'], 'x', 'y', 'z'), folder), { instanceOf: OperatorError })
})

test('a recipient beside the passphrase opens the backup without it', async (t) => {
  const keys = await makeKeys(await scratchFolder(t))
  const { folder } = await backupBehindPassphrase(t, [keys.recipient])
  const prompt = operatorWho()
  const decryption = await decryptionOf({ settings: { ageIdentityFile: keys.identityFile }, prompt }, folder)
  t.true((await whole(decryption.decrypt(bytesOf(join(folder, 'secret.gz.age')), 'secret'))).length > 0)
  t.deepEqual(prompt.asked, [])
})

test('an AGE_IDENTITY_FILE that is itself behind a passphrase is opened in memory', async (t) => {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  const encrypter = new Encrypter()
  encrypter.setScryptWorkFactor(10)
  encrypter.setPassphrase(passphrase)
  const file = join(folder, 'protected')
  writeFileSync(file, await encrypter.encrypt(readFileSync(keys.identityFile)))
  const found = await decryptionOf({ settings: { ageIdentityFile: file }, prompt: operatorWho(passphrase) }, folder)
  t.deepEqual(found.recipients, [keys.recipient])
})

test('the stock age opens a backup with its identity', async (t) => {
  const keys = await makeKeys(await scratchFolder(t))
  const { folder } = await backupBehindPassphrase(t, [keys.recipient])
  const file = join(folder, 'secret.gz.age')
  const shell = `"${age}" --decrypt --identity "${keys.identityFile}" "${file}" | gunzip`
  t.is(String(spawnSync('sh', ['-c', shell]).stdout), secret)
})

test('the stock age opens a backup with its passphrase', async (t) => {
  const { folder, scratch } = await backupBehindPassphrase(t)
  const target = join(scratch, 'opened.gz')
  const identity = join(folder, protectedIdentityFile)
  const command = [age, '-d', '-i', identity, '-o', target, join(folder, 'secret.gz.age')]
  const open = (typed: string) => atTerminal(command, [['passphrase', `${typed}\r`]])
  t.not((await open('wrong')).status, 0)
  const { status, screen } = await open(passphrase)
  t.is(status, 0, screen)
  t.is(String(spawnSync('gunzip', ['-c', target]).stdout), secret)
})
