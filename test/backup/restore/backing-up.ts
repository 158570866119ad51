import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { Archive } from '../../../lib/backup/archive.ts'
import { type Decryption, decryptionFrom, encryptionTo } from '../../../lib/backup/encryption.ts'
import { backUpResources } from '../../../lib/backup/resources.ts'
import {
  backedUpObjects,
  type Conflict,
  type RestoreSummary,
  restoreObjects,
  type Selection,
} from '../../../lib/backup/restore.ts'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { discover } from '../../../lib/kubernetes/discovery.ts'
import { systemClock } from '../../../lib/migration/clock.ts'
import { Interrupt } from '../../../lib/migration/interrupt.ts'
import { Journal } from '../../../lib/migration/journal.ts'
import { Migration } from '../../../lib/migration/migration.ts'
import { loadSettings } from '../../../lib/settings.ts'
import { listeningConsole } from '../../migration/run-in-folder.ts'
import { type Keys, makeKeys, operatorWho, scratchFolder } from '../keys.ts'

export const everything: Selection = { resource: () => true, object: () => true }
export const inNamespace = (namespace: string): Selection => ({
  resource: () => true,
  object: ({ metadata }) => metadata.namespace === namespace,
})

/** A place for backups and runs, with a key. */
export interface Vault {
  folder: string
  keys: Keys
  decryption: Decryption
}

export async function newVault(t: ExecutionContext<unknown>): Promise<Vault> {
  const folder = await scratchFolder(t)
  const keys = await makeKeys(folder)
  return { folder, keys, decryption: await decryptionFrom(keys.identityFile) }
}

/** A whole backup of all API objects, as migrate:backup takes it, without machine and etcd. */
export async function backUp({ folder, keys }: Vault, api: KubernetesApi, name = 'home-1'): Promise<string> {
  const archive = await Archive.begin(join(folder, 'backup'), name, encryptionTo([keys.recipient]))
  const { resources, unreadable, files } = await backUpResources(api, await discover(api), archive, {
    clock: systemClock,
  })
  return archive.finish({
    content: 'backup',
    cluster: 'catalyst-cluster',
    createdAt: new Date().toISOString(),
    files,
    resources,
    unreadable,
    identity: {},
    versions: {},
  })
}

export interface RestoreRun {
  summary: RestoreSummary
  lines: string[]
  journal: Journal
  runFolder: string
}

/** Restores in a run of its own, or in the run whose folder is given, as after a kill. */
export async function restore(
  vault: Vault,
  api: KubernetesApi,
  backup: string,
  options: { selection?: Selection; conflict?: Conflict; dryRun?: boolean; runFolder?: string } = {},
): Promise<RestoreRun> {
  const { migration, lines, journal, runFolder } = restoring(vault, options)
  const { decryption } = vault
  const source = await backedUpObjects(backup, { decryption, selection: options.selection ?? everything })
  const summary = await restoreObjects(migration, api, source, { conflict: options.conflict ?? 'skip' })
  journal.append({ type: 'phase', phase: 'restore', state: 'done' })
  return { summary, lines, journal, runFolder }
}

/** The Migration of a restore, whose journal is a file. */
export function restoring(vault: Vault, options: { dryRun?: boolean; runFolder?: string } = {}) {
  mkdirSync(join(vault.folder, 'runs'), { recursive: true })
  const runFolder = options.runFolder ?? mkdtempSync(join(vault.folder, 'runs', 'run-'))
  const journal = Journal.open(join(runFolder, 'journal.jsonl'), systemClock.now)
  const state = ['not begun', 'done'].includes(journal.phaseState('restore')) ? 'begin' : 'resume'
  journal.append({ type: 'phase', phase: 'restore', state })
  const console = listeningConsole()
  const never = () => undefined
  const migration = new Migration({
    settings: loadSettings({ CLUSTER: 'catalyst', AGE_RECIPIENTS: vault.keys.recipient, API_TIMEOUT: '30' }),
    console,
    clock: systemClock,
    journal,
    interrupt: new Interrupt(never, never),
    phase: 'restore',
    runFolder,
    dryRun: options.dryRun ?? false,
    flags: {},
    prompt: operatorWho(),
  })
  return { migration, journal, runFolder, lines: console.lines }
}

export const total = (
  { resources }: RestoreSummary,
  outcome: 'created' | 'updated' | 'equal' | 'skipped' | 'refused',
) => resources.reduce((sum, row) => sum + row[outcome], 0)

/** The path of a collection of the core group, or of one object in it. */
export const at = (namespace: string, resource: string, name = '') =>
  `/api/v1/namespaces/${namespace}/${resource}/${name}`.replace(/\/$/, '')

export async function createNamespace(api: KubernetesApi, name: string): Promise<void> {
  await api.create('/api/v1/namespaces', { metadata: { name } })
}

export function configMap(namespace: string, name: string, more: Partial<KubernetesObject> = {}): KubernetesObject {
  const { metadata, ...rest } = more
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, ...metadata },
    data: { name },
    ...rest,
  }
}
