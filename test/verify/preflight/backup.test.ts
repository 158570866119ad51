import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import test from 'ava'
import { loadSettings } from '../../../lib/settings.ts'
import { runChecks } from '../../../lib/verify/check.ts'
import { backupChecks } from '../../../lib/verify/preflight/backup.ts'
import { LiveContext } from '../../../lib/verify/preflight/context.ts'

async function findings(
  t: { teardown: (fn: () => void) => void },
  more: (folder: string) => Record<string, string> = () => ({}),
) {
  const folder = mkdtempSync(join(tmpdir(), 'preflight-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  mkdirSync(join(folder, 'backup'))
  const identity = await generateX25519Identity()
  writeFileSync(join(folder, 'identity'), `# created today\n${identity}\n`)
  const environment = {
    CLUSTER: 'catalyst',
    HOMELAB_DIR: folder,
    BACKUP_DIR: join(folder, 'backup'),
    AGE_RECIPIENTS: await identityToRecipient(identity),
    AGE_IDENTITY_FILE: join(folder, 'identity'),
    ...more(folder),
  }
  const results = await runChecks(backupChecks, new LiveContext(loadSettings(environment), new Date()))
  return results.flatMap(({ name, findings: found }) =>
    found.map(({ evidence, severity }) => ({ name, evidence, severity })),
  )
}

const keys = 'AGE_IDENTITY_FILE opens what AGE_RECIPIENTS close'

test('an identity that opens what is closed for its recipient is fine', async (t) => {
  t.deepEqual(
    (await findings(t)).filter(({ name }) => name === keys),
    [],
  )
})

test('an identity of another key pair is an error', async (t) => {
  const other = await identityToRecipient(await generateX25519Identity())
  const found = await findings(t, () => ({ AGE_RECIPIENTS: other }))
  t.like(
    found.find(({ name }) => name === keys),
    { severity: 'error' },
  )
})

test('a passphrase among the recipients is no reason to want an identity file', async (t) => {
  const found = await findings(t, () => ({ AGE_RECIPIENTS: 'passphrase', AGE_IDENTITY_FILE: '' }))
  t.deepEqual(
    found.filter(({ name }) => name === keys),
    [],
  )
})

test('a damaged identity is an error that does not repeat it', async (t) => {
  const found = await findings(t, (folder) => {
    writeFileSync(join(folder, 'damaged'), 'AGE-SECRET-KEY-1DAMAGED\n')
    return { AGE_IDENTITY_FILE: join(folder, 'damaged') }
  })
  const about = found.find(({ name }) => name === keys)
  t.is(about?.severity, 'error')
  t.false(about?.evidence.includes('DAMAGED'))
})

test('a backup that a clean task of the homelab would remove is warned of, with the task and its line', async (t) => {
  const found = await findings(t, (folder) => {
    writeFileSync(join(folder, 'Taskfile.yml'), "version: '3'\ntasks:\n  clean:\n    - rm -rf .output\n")
    return { BACKUP_DIR: join(folder, '.output/backup') }
  })
  const dangers = found.filter(({ name }) => name.startsWith('No clean task'))
  t.deepEqual(
    dangers.map(({ severity }) => severity),
    ['warning'],
  )
  t.regex(dangers[0]?.evidence ?? '', /^task clean \(Taskfile\.yml:4\) removes BACKUP_DIR \(.*\): rm -rf \.output$/)
})

test('a second place that is not there is an error, one on the same disk a warning', async (t) => {
  const about = async (more: (folder: string) => Record<string, string>) =>
    (await findings(t, more)).filter(({ name }) => name === 'BACKUP_COPY_TO can take a copy')
  t.like(await about(() => ({ BACKUP_COPY_TO: '/nowhere/nas' })), [{ severity: 'error' }])
  t.like(await about((folder) => ({ BACKUP_COPY_TO: folder })), [{ severity: 'warning' }])
  t.deepEqual(await about(() => ({})), [])
})

test('a backup folder that does not exist yet is fine if it can be made', async (t) => {
  const found = await findings(t, (folder) => ({ BACKUP_DIR: join(folder, 'not/yet/there') }))
  t.deepEqual(
    found.filter(({ severity }) => severity === 'error'),
    [],
  )
})

test('a MEMORY_DIR on a disk is an error', async (t) => {
  const found = await findings(t, () => ({ MEMORY_DIR: process.cwd() }))
  t.true(found.some(({ name, severity }) => severity === 'error' && name === 'MEMORY_DIR is held in memory'))
})
