import { readdirSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { plainContent, storedContent } from '../../lib/backup/archive.ts'
import { type Decryption, decryptionFrom } from '../../lib/backup/encryption.ts'
import { readFinalSet } from '../../lib/backup/final-set.ts'
import { type Manifest, readManifest } from '../../lib/backup/manifest.ts'
import { verifyBackup } from '../../lib/backup/verify.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { parseMachineConfig } from '../../lib/talos/machine-config.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../../lib/talos/snapshot.ts'
import { killWhen, type Practice, practise } from '../end-to-end/on-practice-cluster.ts'
import { defineTwoVersions } from '../kubernetes/two-versions.ts'
import { makeKeys, operatorWho, scratchFolder, whole } from './keys.ts'

const tricky = {
  metadata: { name: 'tricky' },
  data: { quotes: '"}]\\"', lines: 'a\nb\u2028c', emoji: '😀', end: '\\' },
}

test('a backup holds every object of the cluster, opens, and survives being killed', async (t) => {
  const practice = await practise(t)
  const api = await practice.cluster.api()
  t.teardown(() => api.close())
  await api.create('/api/v1/namespaces/default/configmaps', tricky)
  await defineTwoVersions(api, 'twins')

  await refusesWhatCouldNotBeOpened(t, practice)
  await changesNothingInADryRun(t, practice)
  const folder = await isTakenUpAfterKill(t, practice)
  const decryption = await decryptionFrom(practice.cluster.homelab.ageIdentityFile)
  const { problems, manifest, opened } = await verifyBackup(folder, decryption)
  t.deepEqual(problems, [])
  t.true(opened)
  t.deepEqual(manifest.unreadable, [])
  await holdsEveryObject(t, api, folder, manifest, decryption)
  await bringsSnapshotAndConfigTogether(t, practice, folder)
  await isTakenAnewWhenAskedAgain(t, practice, folder)
  await findsTheBrokenFile(t, practice)
})

async function refusesWhatCouldNotBeOpened(t: ExecutionContext, { cluster, task }: Practice): Promise<void> {
  const none = await task(['migrate:backup', 'AGE_RECIPIENTS=,'])
  t.not(none.exitCode, 0)
  t.regex(none.output, /no age recipient/)
  const { identityFile } = await makeKeys(await scratchFolder(t))
  const other = await task(['migrate:backup', `AGE_IDENTITY_FILE=${identityFile}`])
  t.not(other.exitCode, 0)
  t.regex(other.output, /does not open/)
  t.deepEqual(readdirSync(cluster.homelab.backupDir), [])
}

async function changesNothingInADryRun(t: ExecutionContext, { cluster, task }: Practice): Promise<void> {
  const { exitCode, output } = await task(['migrate:backup', '--', '--dry-run'])
  t.is(exitCode, 0, output)
  t.regex(output, /Write all objects of \d+ resources/)
  t.deepEqual(readdirSync(cluster.homelab.backupDir), [])
}

async function isTakenUpAfterKill(t: ExecutionContext, practice: Practice): Promise<string> {
  const { backupDir } = practice.cluster.homelab
  const running = practice.task(['migrate:backup'])
  await killWhen(practice, (records) =>
    records.some((record) => record.type === 'change' && record.what.startsWith('Write all objects')),
  )
  t.not((await running).exitCode, 0)
  const [left, ...more] = readdirSync(backupDir)
  t.regex(left ?? '', /\.partial$/)
  t.deepEqual(more, [])
  await t.throwsAsync(readManifest(join(backupDir, left ?? '')), { message: /never finished/ })
  const again = await practice.task(['migrate:backup'])
  t.is(again.exitCode, 0, again.output)
  const [name, ...others] = readdirSync(backupDir)
  t.deepEqual(others, [])
  t.is(name, left?.replace('.partial', ''))
  return join(backupDir, name ?? '')
}

/** Walks the older discovery by itself and asks for each collection in one piece: none of the backup's own code is used. */
async function holdsEveryObject(
  t: ExecutionContext,
  api: KubernetesApi,
  folder: string,
  manifest: Manifest,
  decryption: Decryption,
): Promise<void> {
  let same = 0
  let changed = 0
  for (const { path, group, resource } of await collections(api)) {
    const entry = manifest.resources.find((one) => one.group === group && one.resource === resource)
    if (!entry) return t.fail(`${resource}.${group} is not in the backup`)
    const kept = entry.path ? await objectsIn(folder, entry.path, decryption) : []
    const byUid = new Map(kept.map((object) => [object.metadata.uid ?? object.metadata.name, object]))
    t.is(byUid.size, entry.count, `${resource}.${group} holds objects twice`)
    const list = await api.get<{ apiVersion: string; kind: string; items: KubernetesObject[] | null }>(path)
    const named = { apiVersion: list.apiVersion, kind: list.kind.replace(/List$/, '') }
    for (const object of list.items ?? []) {
      const { uid, name, resourceVersion, creationTimestamp } = object.metadata
      const found = byUid.get(uid ?? name)
      if (found?.metadata.resourceVersion === resourceVersion) {
        t.deepEqual(found, { ...named, ...object })
        same++
        continue
      }
      // Leases, heartbeats and what the adversaries reconcile go on: it is newer than what was kept, or than the backup.
      changed++
      if (found) t.true(Number(resourceVersion) > Number(found.metadata.resourceVersion), `${path} ${name}`)
      else t.true(wholeSeconds(creationTimestamp) >= wholeSeconds(manifest.createdAt), `${path} ${name} is missing`)
    }
  }
  t.log(`${same} objects are equal, ${changed} have changed since`)
  t.true(same > 1000)
  t.true(changed < same / 10)
}

/** Kubernetes keeps times by the second. */
const wholeSeconds = (time: string | undefined) => Math.floor(Date.parse(time ?? '') / 1000)

async function collections(api: KubernetesApi): Promise<{ path: string; group: string; resource: string }[]> {
  interface Group {
    name: string
    versions: { groupVersion: string }[]
    preferredVersion: { groupVersion: string }
  }
  const { groups } = await api.get<{ groups: Group[] }>('/apis')
  const found = new Map<string, { path: string; group: string; resource: string }>()
  const versions = groups.flatMap(({ name, versions, preferredVersion }) =>
    [preferredVersion, ...versions].map(({ groupVersion }) => ({ group: name, root: `/apis/${groupVersion}` })),
  )
  for (const { group, root } of [{ group: '', root: '/api/v1' }, ...versions]) {
    const { resources } = await api.get<{ resources: { name: string; verbs: string[] }[] }>(root)
    for (const { name, verbs } of resources) {
      const key = `${name}.${group}`
      if (!name.includes('/') && verbs.includes('list') && !found.has(key)) {
        found.set(key, { path: `${root}/${name}`, group, resource: name })
      }
    }
  }
  return [...found.values()]
}

async function objectsIn(folder: string, path: string, decryption: Decryption): Promise<KubernetesObject[]> {
  const text = (await whole(plainContent(path, storedContent(folder, path), decryption))).toString()
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as KubernetesObject)
}

async function bringsSnapshotAndConfigTogether(t: ExecutionContext, { cluster }: Practice, folder: string) {
  const { manifest, ...set } = await readFinalSet({ settings: cluster.homelab, prompt: operatorWho() }, folder)
  const snapshot = await set.openSnapshot(await scratchFolder(t))
  t.is(manifest.snapshot?.sha256, (await checkSnapshotFile(snapshot)).sha256)
  const content = await readSnapshot(snapshot)
  const config = parseMachineConfig(await set.machineConfig('talos00'), 'the config in the backup')
  t.is(manifest.identity.kubeSystemUid, proveKinship(content, config, 'the snapshot').kubeSystemUid)
  t.is(manifest.snapshot?.revision, content.revision)
  t.truthy(manifest.versions.talos && manifest.versions.kubernetes && manifest.versions.talosctl)
}

async function isTakenAnewWhenAskedAgain(t: ExecutionContext, { cluster, task }: Practice, first: string) {
  const { exitCode, output } = await task(['migrate:backup'])
  t.is(exitCode, 0, output)
  t.is((await readdir(cluster.homelab.backupDir)).length, 2)
  await rm(first, { recursive: true, maxRetries: 10 })
}

async function findsTheBrokenFile(t: ExecutionContext, { cluster }: Practice): Promise<void> {
  const { backupDir, ageIdentityFile } = cluster.homelab
  const folder = join(backupDir, (await readdir(backupDir))[0] ?? '')
  const file = join(folder, 'resources/secrets.core.v1.jsonl.gz.age')
  const bytes = await readFile(file)
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x10
  await writeFile(file, bytes)
  const { problems } = await verifyBackup(folder, await decryptionFrom(ageIdentityFile))
  t.is(problems.length, 1)
  t.true(problems[0]?.includes(basename(file)))
}
