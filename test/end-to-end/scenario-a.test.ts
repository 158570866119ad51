import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import { openForWriting, processesBelow } from '../../lib/rehearsal/processes.ts'
import { projectFolder } from '../../lib/settings.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { assertAsBefore, rollBackThoughKilled } from './going-back.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

const secretCanary = 'canary-in-a-secret-b7f2e1'
const configCanary = 'canary-in-the-machine-config-93ac55'
const snapshotCanary = 'canary-in-the-etcd-snapshot-2f81d0'

/** A password of a private registry: a place in a machine config where people do keep secrets. */
const registryPatch = JSON.stringify({
  machine: {
    registries: { config: { 'registry.invalid': { auth: { username: 'homelab', password: configCanary } } } },
  },
})

test('scenario A, phase by phase: nothing is lost, no secret is written or shown anywhere, and it leads back', async (t) => {
  // There, and back again.
  t.timeout(20 * 60_000)
  const practice = await practise(t, { canary: secretCanary, configPatches: [registryPatch] })
  await plantInSnapshot(practice)
  await assertPlanted(t, practice)
  // What a task builds before its script, it writes too; that is done before anybody looks.
  await practice.task(['migrate:status'])
  const watched = new CommandLines()
  const memory = memoryFolder(t)
  const temporary = temporaryFolder('scenario-a')
  const copies = temporaryFolder('scenario-a-copies')
  const environment = { ...practice.cluster.environment, NO_COLOR: '1', TMPDIR: temporary }
  const type = async (task: string, ...flags: string[]) => {
    const command = [`migrate:${task}`, `MEMORY_DIR=${memory}`, `BACKUP_COPY_TO=${copies}`, '--', ...flags]
    const { exitCode, output } = await practice.task(command, { environment, onStart: (pid) => watched.follow(pid) })
    t.is(exitCode, 0, `migrate:${task}\n${output}`)
    return output
  }
  for (const phase of phases) {
    const output = await type(phase)
    if (phase === 'preflight') assertNothingIsWrong(t, output)
  }
  await practice.prove()
  assertReported(t, practice)
  // No workload has written anything since its volume came back, so nothing is lost, and nobody is asked.
  await rollBackThoughKilled(t, practice, () => practice.task(['migrate:rollback', `MEMORY_DIR=${memory}`]))
  t.regex(practice.said(), /has taken no writes that the old one does not have/)
  await assertAsBefore(t, practice, 'verify, and killed in the middle')

  await bringsASecretBack(t, practice, () => type('restore', '--namespace', 'media', '--resource', 'secrets'))
  watched.stop()

  const secrets = secretsOf(practice)
  for (const line of watched.seen) t.deepEqual(hits(line, secrets), [], line.slice(0, 200))
  t.true(
    [...watched.seen].some((line) => /talosctl\S* etcd snapshot /.test(line)),
    'command lines were seen',
  )
  t.deepEqual(hits(practice.said(), secrets), [], 'what the tasks said')
  assertFilesHoldNone(t, practice, secrets, [copies])
  for (const file of filesBelow(temporary)) t.deepEqual(hits(contentOf(file), secrets), [], file)
  assertWritesAreKnown(t, practice, [...watched.written], [memory, temporary, copies])
  t.deepEqual(readdirSync(memory), [], 'what was decrypted in memory is gone')
  t.deepEqual(
    readdirSync(copies)
      .map((name) => /\dZ(-final)?$/.exec(name)?.[1] ?? '')
      .sort(),
    ['', '-final'],
    'backup and final set are copied',
  )
})

/** A healthy homelab gets no word from preflight; what kubectl this computer has is no matter of the homelab's. */
function assertNothingIsWrong(t: ExecutionContext, said: string) {
  const ofHomelab = said.replace(/\nWarnings \(1\)\n.*\n {2}kubectl, where there is one.*\n/, '')
  t.notRegex(ofHomelab, /Errors|Warnings/)
}

/** The report tells of the whole evening, also of what verify has found. */
function assertReported(t: ExecutionContext, { cluster }: Practice) {
  const page = readFileSync(join(cluster.homelab.outputDir, 'current', 'report.html'), 'utf8')
  t.regex(page, /migrated and verified/)
  for (const text of [
    'Shut the old machine down',
    'Newly broken',
    'no Kubernetes API: ',
    'Snapshot hash',
    'Nodes ready',
  ])
    t.true(page.includes(text), text)
}

/** A Secret that somebody deleted comes back with its values, which pass through memory alone. */
async function bringsASecretBack(t: ExecutionContext, { cluster }: Practice, restore: () => Promise<unknown>) {
  const path = '/api/v1/namespaces/media/secrets/registry-pull'
  const api = await cluster.api()
  const { data } = await api.get(path)
  await api.remove(path)
  await restore()
  t.deepEqual((await api.get(path)).data, data)
  t.true(
    JSON.stringify(Object.values(data as object).map((value) => Buffer.from(value, 'base64').toString())).includes(
      secretCanary,
    ),
  )
  api.close()
}

const phases = [
  ...[
    'plan',
    'preflight',
    'backup',
    'backup-verify',
    'drain',
    'shutdown',
    'provision',
    'resume',
    'verify',
    'status',
    'report',
  ],
] as const

/** A ConfigMap is no secret and is in the snapshot in plain: whoever finds it there has read the snapshot. */
async function plantInSnapshot({ cluster }: Practice): Promise<void> {
  const api = await cluster.api()
  const metadata = { name: 'canary', namespace: 'default' }
  await api.create('/api/v1/namespaces/default/configmaps', { metadata, data: { canary: snapshotCanary } })
  api.close()
}

/** A search that finds nothing proves something only when there is something. */
async function assertPlanted(t: ExecutionContext, { cluster }: Practice): Promise<void> {
  const api = await cluster.api()
  const secrets = await api.list<{ data?: Record<string, string> }>('/api/v1/secrets')
  api.close()
  const values = secrets.flatMap(({ data }) => Object.values(data ?? {})).map((value) => Buffer.from(value, 'base64'))
  t.true(values.filter((value) => value.includes(secretCanary)).length > 20)
  t.true((await cluster.talosctlOnNode('get', 'machineconfig', '--output', 'yaml')).includes(configCanary))
}

/** What must not be found, by name: the canaries and the real secrets of the cluster's PKI. */
function secretsOf({ cluster }: Practice): Map<string, string> {
  const config = parse(readFileSync(cluster.homelab.controlplaneConfig, 'utf8'))
  const talosconfig = parse(readFileSync(cluster.homelab.talosconfig, 'utf8'))
  const context = talosconfig.contexts[talosconfig.context]
  return new Map<string, string>([
    ['the canary of the Secrets', secretCanary],
    ['the canary of the machine config', configCanary],
    ['the secretbox key', config.cluster.secretboxEncryptionSecret],
    ['the cluster secret', config.cluster.secret],
    ['the bootstrap token', config.cluster.token],
    ['the machine token', config.machine.token],
    ['the machine CA key', config.machine.ca.key],
    ['the service account key', config.cluster.serviceAccount.key],
    ['the etcd CA key', config.cluster.etcd.ca.key],
    ['the client key of the talosconfig', context.key],
    ['the age identity', readFileSync(cluster.homelab.ageIdentityFile, 'utf8').trim()],
  ])
}

/** Which of the secrets a text holds, as they are or in base64, at whatever offset. */
function hits(text: string, secrets: Map<string, string>): string[] {
  return [...secrets].flatMap(([name, secret]) => (encodings(secret).some((one) => text.includes(one)) ? [name] : []))
}

function encodings(secret: string): string[] {
  // At each of the three offsets, the middle of the base64 text does not depend on what stands before or behind.
  const shifted = [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]).toString('base64')
    return whole.slice(offset === 0 ? 0 : 4, -4)
  })
  return [secret, ...shifted]
}

function assertFilesHoldNone(
  t: ExecutionContext,
  { cluster }: Practice,
  secrets: Map<string, string>,
  more: string[],
): void {
  const { outputDir, backupDir } = cluster.homelab
  let withSnapshotCanary = 0
  for (const folder of [outputDir, backupDir, ...more]) {
    for (const file of filesBelow(folder)) {
      const text = contentOf(file)
      t.deepEqual(hits(text, secrets), [], file)
      if (!text.includes(snapshotCanary)) continue
      withSnapshotCanary++
      t.regex(file, /\/configmaps\.core\.v1\.jsonl\.gz$/, 'only the backup of the ConfigMaps may hold it')
    }
  }
  t.true(withSnapshotCanary > 0, 'the search finds what is there')
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function contentOf(file: string): string {
  const bytes = readFileSync(file)
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')
}

/** A file that was opened, written and removed in between would be in none of the folders that are searched. */
function assertWritesAreKnown(t: ExecutionContext, { cluster }: Practice, written: string[], more: string[]): void {
  const { outputDir, backupDir, folder } = cluster.homelab
  const known = [outputDir, backupDir, join(folder, '.output'), join(projectFolder, '.task'), '/dev/', ...more]
  const files = written.filter((file) => file.startsWith('/') && !known.some((place) => file.startsWith(place)))
  t.deepEqual(files, [], 'files that were open for writing elsewhere')
  t.true(
    written.some((file) => file.startsWith(realpathSync(backupDir))),
    'files open for writing were seen',
  )
}

/** Every command line of the tasks' processes and their children, and every file that they had open for writing, that a look every 10 ms can see. */
class CommandLines {
  readonly seen = new Set<string>()
  readonly written = new Set<string>()
  #root: number | undefined
  #timer = setInterval(() => this.#look(), 10)

  follow(pid: number): void {
    this.#root = pid
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    if (this.#root === undefined) return
    for (const { pid, command } of processesBelow(this.#root)) {
      this.seen.add(command)
      for (const file of openForWriting(pid)) this.written.add(file)
    }
  }
}
