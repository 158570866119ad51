import type { KubernetesApi } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Json, Migration } from '../../migration/migration.ts'
import { decryptionOf } from '../keys.ts'
import { type Manifest, type ResourceEntry, readManifest } from '../manifest.ts'
import { restoreObjects } from '../restore.ts'
import { selectionOf, type Wishes } from './flags.ts'
import { isNeverRestored } from './generated.ts'
import { type BackedUpObjects, backedUpObjects, isSecret, type Selection } from './source.ts'
import { showSummary } from './tally.ts'

/**
 * Restores what the operator wished for, and shows what it came to.
 * @throws OperatorError when nothing matches, when a file of the backup is damaged or does not open, or when something was refused
 */
export async function restoreWishes(
  migration: Migration,
  api: KubernetesApi,
  folder: string,
  wishes: Wishes,
): Promise<Json> {
  const source = await open(migration, folder, wishes)
  await sayWhoseItIs(migration, api, source)
  const summary = await restoreObjects(migration, api, source, { conflict: wishes.conflict })
  if (summary.resources.length === 0) {
    throw new OperatorError(`Nothing in ${folder} matches: ${wishes.described}.`, {
      next: 'Check the spelling; without --name and --selector more is selected.',
    })
  }
  showSummary(migration, summary)
  if (summary.refused.length === 0) return { ...summary }
  throw new OperatorError(`Refused: ${summary.refused.length}. All else is done.`, {
    means: 'The table above names them, each with what to do.',
    next: 'Then the same command again: what is restored is passed over.',
  })
}

async function open(migration: Migration, folder: string, wishes: Wishes): Promise<BackedUpObjects> {
  const manifest = await readManifest(folder)
  const selection = selectionOf(wishes, wishes.resources.length > 0 ? await kindsIn(folder, manifest) : new Map())
  const needsKey = restorable(manifest).some((entry) => selection.resource(entry) && isSecret(entry))
  const decryption = needsKey ? await decryptionOf(migration, folder) : undefined
  return backedUpObjects(folder, { decryption, selection })
}

function restorable({ resources }: Manifest): ResourceEntry[] {
  return resources.filter((entry) => entry.path !== undefined && !isNeverRestored(entry))
}

/** The manifest names plurals; what kind they are, their first object says. Encrypted ones are not opened for that. */
async function kindsIn(folder: string, manifest: Manifest): Promise<Map<ResourceEntry, string>> {
  const nothing: Selection = { resource: () => false, object: () => false }
  const source = await backedUpObjects(folder, { decryption: undefined, selection: nothing })
  const kinds = new Map<ResourceEntry, string>()
  for (const entry of restorable(manifest)) {
    if (isSecret(entry)) kinds.set(entry, entry.resource === 'secrets' ? 'Secret' : '')
    else kinds.set(entry, await kindOf(source, entry))
  }
  return kinds
}

async function kindOf(source: BackedUpObjects, entry: ResourceEntry): Promise<string> {
  for await (const { kind } of source.objects(entry)) return kind ?? ''
  return ''
}

async function sayWhoseItIs(
  { console, settings }: Migration,
  api: KubernetesApi,
  { folder, manifest }: BackedUpObjects,
) {
  const { cluster, createdAt, identity } = manifest
  console.info(`${folder}: ${cluster}, ${createdAt}`)
  if (cluster !== settings.clusterName) {
    console.warn(`It is a backup of ${cluster}, and is restored into ${settings.clusterName}.`)
  }
  const there = await api.getOrNull('/api/v1/namespaces/kube-system')
  if (identity.kubeSystemUid !== undefined && there?.metadata.uid !== identity.kubeSystemUid) {
    console.info('The cluster is another one than was backed up: what is restored gets new UIDs.')
  }
}
