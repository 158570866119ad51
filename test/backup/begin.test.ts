import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { archiveName } from '../../lib/backup/archive.ts'
import { type BackupInProgress, beginBackup } from '../../lib/backup/begin.ts'
import { sealBackup, writeFacts } from '../../lib/backup/seal.ts'
import type { Migration } from '../../lib/migration/migration.ts'
import type { Talosctl } from '../../lib/talos/talosctl.ts'
import { runIn } from '../migration/run-in-folder.ts'
import { makeKeys, scratchFolder } from './keys.ts'

async function homelab(t: ExecutionContext) {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  const backupDir = join(folder, 'backup')
  const environment = { AGE_RECIPIENTS: keys.recipient, AGE_IDENTITY_FILE: keys.identityFile }
  const run = (body: (migration: Migration) => Promise<void>, more = {}) =>
    runIn(folder, 'backup', body, [], { ...environment, ...more })
  return { folder, backupDir, run }
}

/** Begins, writes one file, and dies as after kill -9: nothing is cleaned up. */
const interrupted = async (migration: Migration) => {
  const backup = await beginBackup(migration)
  await migration.step('Write facts', () => writeFacts(migration, backup, 'facts.json', { first: true }))
  throw new Error('killed')
}

test('a run that was interrupted goes on in its own folder, with what it has written', async (t) => {
  const { run, backupDir } = await homelab(t)
  t.is((await run(interrupted)).code, 1)
  const before = readdirSync(backupDir)
  let calls = 0
  const { code } = await run(async (migration) => {
    const backup = await beginBackup(migration)
    await migration.step('Write facts', async () => {
      calls++
      return []
    })
    t.true(existsSync(join(backup.archive.partial, 'facts.json')))
  })
  t.is(code, 0)
  t.is(calls, 0)
  t.deepEqual(readdirSync(backupDir), before)
})

test('when the unfinished folder is gone, all is done anew', async (t) => {
  const { run, backupDir } = await homelab(t)
  await run(interrupted)
  for (const name of readdirSync(backupDir)) rmSync(join(backupDir, name), { recursive: true })
  let backup: BackupInProgress | undefined
  const { code, lines } = await run(async (migration) => {
    backup = await beginBackup(migration)
    await migration.step('Write facts', () => writeFacts(migration, backup as BackupInProgress, 'facts.json', {}))
  })
  t.is(code, 0)
  t.true(lines.some((line) => line.startsWith('warn') && line.includes('a new one is begun')))
  t.true(existsSync(join(backup?.archive.partial ?? '', 'facts.json')))
})

test('a second backup of the run removes what an earlier one of the run left, and leaves those of others alone', async (t) => {
  const { run, backupDir } = await homelab(t)
  const foreign = join(backupDir, 'other-cluster-20200101T000000Z.partial')
  mkdirSync(foreign, { recursive: true })
  utimesSync(foreign, 0, 0)
  // It ends without sealing: the phase is done, and the next call begins anew.
  await run(async (migration) => void (await beginBackup(migration)))
  const [left] = readdirSync(backupDir).filter((name) => name.startsWith('catalyst'))
  // Names tell seconds.
  while (left === `${archiveName('catalyst-cluster', new Date())}.partial`) await delay(20)
  const { lines } = await run(async (migration) => void (await beginBackup(migration)))
  const now = readdirSync(backupDir)
  t.is(now.length, 2)
  t.false(now.includes(left ?? ''))
  t.true(existsSync(foreign))
  t.true(lines.some((line) => line.startsWith('warn') && line.includes(foreign)))
})

test('a backup is not sealed before all its parts are there', async (t) => {
  const { run, backupDir } = await homelab(t)
  const { code } = await run(async (migration) => {
    const backup = await beginBackup(migration)
    const parts = { snapshot: undefined, objects: undefined, machines: undefined, credentials: undefined, facts: [] }
    await migration.step('Seal', () => sealBackup(migration, {} as Talosctl, backup, parts))
  })
  t.is(code, 1)
  t.true(readdirSync(backupDir).every((name) => name.endsWith('.partial')))
})

test('an identity file that is kept elsewhere is no reason to refuse a backup, a wrong one is', async (t) => {
  const { run, folder, backupDir } = await homelab(t)
  const begin = async (migration: Migration) => void (await beginBackup(migration))
  const wrong = await makeKeys(folder, 'wrong')
  const refused = await run(begin, { AGE_IDENTITY_FILE: wrong.identityFile })
  t.is(refused.code, 1)
  t.true(refused.lines.some((line) => line.includes('does not open')))
  t.false(existsSync(backupDir))
  t.is((await run(begin, { AGE_IDENTITY_FILE: join(folder, 'on-a-stick') })).code, 0)
})
