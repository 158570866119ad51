import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { sumsOf } from '../../lib/backup/manifest.ts'
import { atTerminal } from '../at-terminal.ts'
import { makeKeys, scratchFolder } from '../backup/keys.ts'
import { type Practice, practise } from './on-practice-cluster.ts'

test('a backup of a running cluster is proven any time later, and whatever was done to it is named', async (t) => {
  const practice = await practise(t, { fixture: 'core' })
  t.is((await practice.task(['migrate:backup'])).exitCode, 0)
  await saysWhatARecoveryWouldRestore(t, practice)
  await needsNoIdentityForHashes(t, practice)
  await namesWhateverWasDone(t, practice)
  await refusesTheWrongIdentity(t, practice)
  await isRefusedForAnotherHomelab(t, practice)
  await opensByPassphrase(t, practice)
  await migratesByPassphrase(t, practice)
})

const backupsOf = ({ cluster }: Practice) =>
  readdirSync(cluster.homelab.backupDir).map((name) => join(cluster.homelab.backupDir, name))

async function saysWhatARecoveryWouldRestore(t: ExecutionContext, practice: Practice): Promise<void> {
  const { exitCode, output } = await practice.task(['migrate:backup-verify'])
  t.is(exitCode, 0, output)
  t.regex(output, /etcdutl 3\.6\.\d+ opens it: hash [0-9a-f]{8}/)
  t.regex(output, /Secret \S+ opens with the config's key/)
  t.regex(
    output,
    /A recovery would restore catalyst-cluster .* \d{3,} objects in \d+ namespaces, Kubernetes v1\.34\.0, Talos v1\.11\.1/,
  )
  const logged = await practice.cluster.talosctlOnNode('logs', 'etcd')
  const id = /"cluster-id":"([0-9a-f]+)"/.exec(logged)?.[1]
  t.truthy(id)
  t.true(output.includes(`etcd cluster ${id}`), output)
}

async function needsNoIdentityForHashes(t: ExecutionContext, practice: Practice): Promise<void> {
  const { exitCode, output } = await practice.task(['migrate:backup-verify', 'AGE_IDENTITY_FILE=./elsewhere'])
  t.is(exitCode, 0, output)
  t.regex(output, /were hashed, not opened/)
  t.notRegex(output, /A recovery would restore/)
}

async function namesWhateverWasDone(t: ExecutionContext, practice: Practice): Promise<void> {
  const [whole = ''] = backupsOf(practice)
  const scratch = await scratchFolder(t)
  const damages: [string, (folder: string) => void, RegExp][] = [
    [
      'one flipped byte',
      (folder) => flip(join(folder, 'etcd.snapshot.gz.age'), 5000),
      /etcd\.snapshot\.gz\.age has changed/,
    ],
    ['a missing file', (folder) => rmSync(join(folder, 'baseline.json')), /baseline\.json is missing/],
    [
      'a truncated file',
      (folder) => truncateSync(join(folder, 'kubeconfig.gz.age'), 100),
      /kubeconfig\.gz\.age is cut off/,
    ],
    ['a stranger', (folder) => writeFileSync(join(folder, 'more.json'), '{}'), /more\.json is not in the manifest/],
    [
      'a path out of the folder',
      (folder) => tamper(folder, (text) => text.replace('"baseline.json"', '"../../etc/passwd"')),
      /is damaged, or is no manifest/,
    ],
    [
      'another revision, sums corrected',
      (folder) => tamper(folder, (text) => text.replace(/"revision": \d+/, '"revision": 7')),
      /was not written by this cluster's backup/,
    ],
  ]
  for (const [name, damage, expected] of damages) {
    const folder = join(scratch, name.replaceAll(/\W+/g, '-'))
    cpSync(whole, folder, { recursive: true })
    damage(folder)
    const { exitCode, output } = await practice.task(['migrate:backup-verify', '--', '--backup', folder])
    t.is(exitCode, 1, name)
    t.regex(output, expected, name)
  }
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** As somebody would who knows of the sums. */
function tamper(folder: string, edit: (text: string) => string): void {
  const file = join(folder, 'manifest.json')
  const text = Buffer.from(edit(readFileSync(file, 'utf8')))
  writeFileSync(file, text)
  const beside = { 'manifest.json': text, 'manifest.hmac': readFileSync(join(folder, 'manifest.hmac')) }
  writeFileSync(join(folder, 'SHA256SUMS'), sumsOf(JSON.parse(String(text)).files, beside))
}

async function refusesTheWrongIdentity(t: ExecutionContext, practice: Practice): Promise<void> {
  const { identityFile } = await makeKeys(await scratchFolder(t))
  const { exitCode, output } = await practice.task(['migrate:backup-verify', `AGE_IDENTITY_FILE=${identityFile}`])
  t.is(exitCode, 1)
  t.regex(output, /does not open/)
}

/** Whole and well, but of another cluster: somebody has put it there. */
async function isRefusedForAnotherHomelab(t: ExecutionContext, practice: Practice): Promise<void> {
  const foreign = new URL('../talos/fixtures/foreign.yaml', import.meta.url).pathname
  const { exitCode, output } = await practice.task(['migrate:backup-verify', `CONTROLPLANE_CONFIG=${foreign}`])
  t.is(exitCode, 1)
  t.regex(output, /is of another secrets bundle than/)
}

/** The operator types: twice for the new backup, once to have it read back later. */
async function opensByPassphrase(t: ExecutionContext, practice: Practice): Promise<void> {
  const before = new Set(backupsOf(practice))
  const taken = await type(practice, 'migrate:backup', [
    ['Passphrase of the backup:', 'correct horse\r'],
    ['The same once more:', 'correct horse\r'],
  ])
  t.is(taken.status, 0, taken.screen)
  t.notRegex(taken.screen, /correct horse/)
  const [folder = ''] = backupsOf(practice).filter((path) => !before.has(path))
  t.true(existsSync(join(folder, 'identity.passphrase')))
  const proven = await type(practice, 'migrate:backup-verify', [['Passphrase of the backup:', 'correct horse\r']])
  t.is(proven.status, 0, proven.screen)
  t.regex(proven.screen, /A recovery would restore catalyst-cluster/)
  const refused = await type(
    practice,
    'migrate:backup-verify',
    [1, 2, 3].map((): [string, string] => ['Passphrase of the backup:', 'wrong\r']),
  )
  t.is(refused.status, 1, refused.screen)
  t.regex(refused.screen, /The passphrase does not open/)
}

/** Once for the whole chain: final snapshot, its reading back, the recovery. */
async function migratesByPassphrase(t: ExecutionContext, practice: Practice): Promise<void> {
  const run = await type(practice, 'migrate:run', [['Passphrase of the backup:', 'correct horse\r']])
  t.is(run.status, 0, run.screen)
  t.is(run.screen.match(/Passphrase of the backup:/g)?.length, 1)
  await practice.prove()
}

function type({ cluster }: Practice, task: string, answers: [string, string][]) {
  const settings = ['AGE_RECIPIENTS=passphrase', 'AGE_IDENTITY_FILE=./elsewhere']
  const command = [cluster.binaries.task, '--yes', '--exit-code', task, ...settings]
  return atTerminal(command, answers, { ...cluster.environment, NO_COLOR: '1' })
}
