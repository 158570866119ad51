import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { decryptionFrom } from '../../lib/backup/encryption.ts'
import { verifyBackup } from '../../lib/backup/verify.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { loadSettings } from '../../lib/settings.ts'
import { takeSnapshot } from '../../lib/talos/etcd.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { memoryFolder, type Practice, practise, type TaskResult } from '../end-to-end/on-practice-cluster.ts'
import { seeded } from '../seeded.ts'
import { smallDisk } from '../small-disk.ts'
import { scratchFolder } from './keys.ts'

const seed = 4
const kills = 14

test('a backup bears a kill at any moment, a full disk, and a memory that is too small', async (t) => {
  const practice = await practise(t)
  const canaries = await plantCanaries(practice)
  await saysWhatTheSnapshotNeeds(t, practice)
  await saysWhatIsMissingOnAFullDisk(t, practice)
  await bearsBeingKilled(t, practice, canaries)
})

/** Secrets that must not be found in plain: one of the cluster, and the keys of the machine config. */
async function plantCanaries({ cluster }: Practice): Promise<string[]> {
  const value = `CANARY-${randomBytes(12).toString('hex')}`
  const api = await cluster.api()
  await api.create('/api/v1/namespaces/default/secrets', { metadata: { name: 'canary' }, stringData: { value } })
  api.close()
  const config = readFileSync(cluster.homelab.controlplaneConfig, 'utf8')
  const keys = [...config.matchAll(/(?:secretboxEncryptionSecret|token): (\S+)/g)].map((found) => found[1] ?? '')
  return [value, Buffer.from(value).toString('base64'), ...keys]
}

async function saysWhatTheSnapshotNeeds(t: ExecutionContext, { cluster, task }: Practice): Promise<void> {
  const memory = smallDisk(t, '512k')
  const { exitCode, output } = await task(['migrate:backup', `MEMORY_DIR=${memory.folder}`])
  t.not(exitCode, 0)
  t.regex(output, /\(MEMORY_DIR\) is too small: \d+ kB are free, and the etcd snapshot has about [\d.]+ MB/)
  t.deepEqual(readdirSync(cluster.homelab.backupDir), [])
  const settings = loadSettings(cluster.environment)
  const target = { address: settings.nodeAddress as never }
  const error = await t.throwsAsync(takeSnapshot(await Talosctl.open(settings), target, memory.folder), {
    instanceOf: OperatorError,
  })
  t.regex(error.what, /There is no room for the etcd snapshot/)
  t.regex(error.means ?? '', /It needs about \d+ MB there/)
}

async function saysWhatIsMissingOnAFullDisk(t: ExecutionContext, { task }: Practice): Promise<void> {
  const disk = smallDisk(t, '500k')
  const { exitCode, output } = await task(['migrate:backup', `BACKUP_DIR=${disk.folder}`])
  t.not(exitCode, 0)
  t.regex(
    output,
    /\d+ kB are free in .*, and the backup needs about [\d.]+ MB, by the size of etcd's database: it may not fit/,
  )
  t.regex(output, /No room is left for the backup/)
  t.regex(output, /are written; about [\d.]+ MB are needed in all, by the size of etcd's database; \d+ kB are free/)
  t.notRegex(output, /nobody expected/)
  t.true(readdirSync(disk.folder).every((name) => name.endsWith('.partial')))
}

async function bearsBeingKilled(t: ExecutionContext, practice: Practice, canaries: string[]): Promise<void> {
  const { cluster, task } = practice
  const { backupDir, outputDir, ageIdentityFile } = cluster.homelab
  const [copies, temporary, memory] = [await scratchFolder(t), await scratchFolder(t), memoryFolder(t)]
  const command = ['migrate:backup', `BACKUP_COPY_TO=${copies}`, 'BACKUP_KEEP=2', `MEMORY_DIR=${memory}`]
  const environment = { ...cluster.environment, NO_COLOR: '1', TMPDIR: temporary }
  const decryption = await decryptionFrom(ageIdentityFile)
  const random = seeded(seed)
  const seen: string[] = []
  for (let kill = 1; kill <= kills; kill++) {
    const running = task(command, { environment })
    seen.push(await killAt(practice, running, 1 + Math.floor(random() * 34), Math.floor(random() * 20)))
    for (const shelf of [backupDir, copies]) {
      for (const name of readdirSync(shelf).filter((one) => !/\.(partial|removing)$/.test(one))) {
        t.deepEqual((await verifyBackup(join(shelf, name), decryption)).problems, [], `kill ${kill}: ${name}`)
      }
    }
    for (const place of [backupDir, copies, temporary, outputDir])
      t.deepEqual(holding(place, canaries), [], `kill ${kill}`)
  }
  t.log(seen.join('; '))
  const last = await task(command, { environment })
  t.is(last.exitCode, 0, last.output)
  t.deepEqual(readdirSync(memory), [], 'nothing decrypted is left')
  const names = readdirSync(backupDir)
  t.true(
    names.length > 0 && names.length <= 2 && names.every((name) => !/\.(partial|removing)$/.test(name)),
    names.join(),
  )
  t.true(names.every((name) => existsSync(join(copies, name, 'manifest.json'))))
}

/** Kills the process of the phase when it has written so many records, and a moment later; says where it was. */
async function killAt(
  practice: Practice,
  running: Promise<TaskResult>,
  records: number,
  moment: number,
): Promise<string> {
  const before = practice.records().length
  let ended = false
  const done = running.finally(() => {
    ended = true
  })
  while (!ended && practice.records().length < before + records) await delay(2)
  await delay(moment)
  const journal = practice.records()
  const last = journal.findLast((one) => one.type === 'phase' && one.pid !== undefined)
  if (!ended && journal.length > before && last?.type === 'phase') {
    try {
      process.kill(last.pid ?? 0, 'SIGKILL')
    } catch {
      // It has ended in the same instant.
    }
  }
  await done
  const change = journal.findLast((one) => one.type === 'change')
  return ended && journal.at(-1)?.type === 'phase'
    ? 'ended before'
    : change?.type === 'change'
      ? change.what.slice(0, 40)
      : 'at the beginning'
}

/** The files below a folder that hold one of the words. */
function holding(folder: string, words: string[]): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name))
  return paths.filter((path) => {
    const content = readFileSync(path)
    return words.some((word) => content.includes(word))
  })
}
