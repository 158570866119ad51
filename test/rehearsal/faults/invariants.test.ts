import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import {
  type Ground,
  journalIsReadable,
  noMountIsLeft,
  noProcessIsLeft,
  nothingDecryptedIsLeft,
  nothingSecretIsPlain,
} from '../../../lib/rehearsal/faults/invariants.ts'
import { smallDisk } from '../../small-disk.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

const canary = 'canary-of-a-test-5b1e'
const key = 'LS0tLS1CRUdJTiBBTiBFWEFNUExFIEtFWS0tLS0t'

/** What the invariants that need no cluster look at: folders. */
function ground(more: Partial<Ground> = {}): Ground & { run: string } {
  const folder = temporaryFolder('invariants')
  const homelab = {
    folder: join(folder, 'homelab'),
    outputDir: join(folder, 'output'),
    backupDir: join(folder, 'backup'),
    envDir: join(folder, 'env'),
    ageIdentityFile: join(folder, 'identity.txt'),
  }
  const run = join(homelab.outputDir, 'runs/one')
  for (const path of [join(homelab.folder, 'configs'), run, homelab.backupDir]) mkdirSync(path, { recursive: true })
  symlinkSync('runs/one', join(homelab.outputDir, 'current'))
  writeFileSync(join(homelab.folder, 'configs/secrets.yaml'), `certs: { etcd: { crt: PUBLIC${key}, key: ${key} } }\n`)
  writeFileSync(homelab.ageIdentityFile, 'AGE-SECRET-KEY-1EXAMPLE\n')
  const memory = join(folder, 'memory')
  mkdirSync(memory)
  return { cluster: { folder, homelab }, canary, memory, mounts: [], torn: () => 0, run, ...more } as never
}

const line = JSON.stringify({ at: '2026-01-01T00:00:00.000Z', type: 'end' })

test('a journal is readable but for the lines that a fault has torn', async (t) => {
  const where = ground()
  const path = join(where.run, 'journal.jsonl')
  t.deepEqual(await journalIsReadable(where), [], 'there is none yet')
  writeFileSync(path, `${line}\n${line}\n{"at":"2026-01`)
  t.deepEqual(await journalIsReadable(where), [], 'the last line is being written')
  writeFileSync(path, `${line}\n${line.slice(0, 20)}\n${line}\n`)
  t.deepEqual(await journalIsReadable(where), ['1 lines of the journal are unreadable, and 0 were torn'])
  t.deepEqual(await journalIsReadable({ ...where, torn: () => 1 }), [])
})

test('a Secret in plain, in base64, or a key of the cluster is found in what a run has written', async (t) => {
  const where = ground()
  const path = join(where.run, 'log.txt')
  writeFileSync(path, `nothing, and the certificate PUBLIC${key.slice(0, -8)}`)
  t.deepEqual(await nothingSecretIsPlain(where), [])
  const inBase64 = (before: string) => Buffer.from(`${before}${canary} and more`).toString('base64')
  for (const text of [canary, inBase64(''), inBase64('x'), inBase64('xy'), key, 'AGE-SECRET-KEY-1EXAMPLE']) {
    writeFileSync(path, `some words and ${text}`)
    t.deepEqual(await nothingSecretIsPlain(where), [`${path} holds a secret in plain`], text)
  }
})

test('a backup that gets its name, or is removed, while it is read is no failure', async (t) => {
  const where = ground()
  const goesOn = `
    const { mkdirSync, renameSync, rmSync, writeFileSync } = require('node:fs')
    for (;;) {
      mkdirSync('one.partial')
      for (let file = 0; file < 30; file++) writeFileSync('one.partial/' + file, 'x')
      renameSync('one.partial', 'one')
      rmSync('one', { recursive: true })
    }`
  const child = spawn(process.execPath, ['-e', goesOn], { cwd: where.cluster.homelab.backupDir })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  for (const deadline = Date.now() + 2000; Date.now() < deadline; await delay(1)) {
    t.deepEqual(await nothingSecretIsPlain(where), [])
  }
})

test('what was decrypted and is left in memory is found', async (t) => {
  const where = ground()
  t.deepEqual(await nothingDecryptedIsLeft(where), [])
  writeFileSync(join(where.memory, 'etcd.snapshot'), '')
  t.is((await nothingDecryptedIsLeft(where)).length, 1)
})

test('a process that a script has started and left is found by its environment', async (t) => {
  const where = ground()
  const { envDir } = where.cluster.homelab
  t.deepEqual(await noProcessIsLeft(where), [])
  const child = spawn('sleep', ['60'], { env: { ...process.env, ENV_DIR: envDir } })
  t.teardown(() => child.kill('SIGKILL'))
  t.regex((await noProcessIsLeft(where))[0] ?? '', new RegExp(`process ${child.pid} is left: sleep 60`))
})

test('a mount that is left is found, and the campaign’s own is none', async (t) => {
  const { folder } = smallDisk(t, '1m')
  const where = ground({ memory: folder })
  t.deepEqual(await noMountIsLeft(where), [`${folder} is still mounted`])
  t.deepEqual(await noMountIsLeft({ ...where, mounts: [folder] }), [])
})
