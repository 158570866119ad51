import pMap from 'p-map'
import { ApiError, type KubernetesApi } from '../kubernetes/api.ts'
import { type Discovery, discover, type ListableResource } from '../kubernetes/discovery.ts'
import { type ListingOptions, type Page, readListing } from '../kubernetes/listing.ts'
import { atMostEvery } from '../migration/clock.ts'
import { messageOf } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Archive } from './archive.ts'
import type { FileEntry, ResourceEntry, UnreadableResource } from './manifest.ts'

/** What the backup of the API's objects came to. Plain JSON, and free of secrets: it goes to the journal. */
export type ResourcesBackup = {
  resources: ResourceEntry[]
  unreadable: UnreadableResource[]
  files: FileEntry[]
}

export interface Progress {
  resourcesDone: number
  resourcesTotal: number
  objects: number
}

/** Collections read at once: more do not go faster, one API server and one compressor being the limit. */
const atOnce = 4

/**
 * Kinds that hold secret values in their own fields, as group/resource. Other custom resources refer to Secrets and are kept readable.
 * GeneratorState: External Secrets Operator keeps what its generators made.
 */
const secretResources = new Set(['/secrets', 'generators.external-secrets.io/generatorstates'])

/** As backUpResources, as a change of a phase: a dry run only says how much there is to write. */
export async function backUpObjects(
  migration: Migration,
  api: KubernetesApi,
  archive: Archive,
): Promise<ResourcesBackup | undefined> {
  const { console, clock } = migration
  const discovery = await discover(api, clock)
  const everySecond = atMostEvery(1000, clock)
  return migration.change(`Write all objects of ${discovery.resources.length} resources into ${archive.name}`, {
    apply: () =>
      backUpResources(api, discovery, archive, {
        clock,
        note: (text) => console.warn(text),
        onProgress: ({ resourcesDone, resourcesTotal, objects }) =>
          everySecond(() => console.detail(`${objects} objects; ${resourcesDone} of ${resourcesTotal} resources`)),
      }),
  })
}

/**
 * Writes every object of every listable resource into the archive: one file per resource that has any, one object per line as the
 * server sent it, Secrets encrypted. What the server refuses (403, a dead aggregated API, a conversion webhook that is down) is
 * returned by name, with the server's reason.
 * @throws OperatorError when the API server is gone or the disk is full
 */
export async function backUpResources(
  api: Pick<KubernetesApi, 'raw'>,
  discovery: Discovery,
  archive: Archive,
  options: ListingOptions & { onProgress?: (progress: Progress) => void },
): Promise<ResourcesBackup> {
  const progress: Progress = { resourcesDone: 0, resourcesTotal: discovery.resources.length, objects: 0 }
  const outcomes = await pMap(
    discovery.resources,
    async (resource) => {
      const outcome = await backUpResource(api, resource, archive, options, (objects) => {
        progress.objects += objects
        options.onProgress?.(progress)
      })
      progress.resourcesDone++
      options.onProgress?.(progress)
      return outcome
    },
    { concurrency: atOnce },
  )
  const dead = discovery.dead.map(({ group, version, reason }) => ({ group, version, resource: '*', reason }))
  return {
    resources: outcomes.flatMap((outcome) => ('entry' in outcome ? [outcome.entry] : [])),
    unreadable: [...dead, ...outcomes.flatMap((outcome) => ('reason' in outcome ? [outcome] : []))],
    files: outcomes.flatMap((outcome) => ('entry' in outcome ? (outcome.file ?? []) : [])),
  }
}

type Outcome = { entry: ResourceEntry; file: FileEntry | undefined } | UnreadableResource

async function backUpResource(
  api: Pick<KubernetesApi, 'raw'>,
  listed: ListableResource,
  archive: Archive,
  options: ListingOptions,
  onObjects: (count: number) => void,
): Promise<Outcome> {
  const { group, version, resource } = listed
  const path = resourcePath(listed)
  try {
    return await readListing(api, listed.path, options, async (pages) => {
      let count = 0
      const file = await writePages(archive, path, pages, (objects) => {
        count += objects
        onObjects(objects)
      })
      // There were some when the listing was begun first, before it had to be begun anew.
      if (file === undefined) await archive.drop(path)
      return { file, entry: { group, version, resource, count, ...(file ? { path } : {}) } }
    })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    await archive.drop(path)
    return { group, version, resource, reason: messageOf(error) }
  }
}

/** Where a resource's objects lie in a backup. */
export function resourcePath({ group, version, resource }: Pick<ListableResource, 'group' | 'version' | 'resource'>) {
  const encrypted = secretResources.has(`${group}/${resource}`) ? '.age' : ''
  return `resources/${resource}.${group || 'core'}.${version}.jsonl.gz${encrypted}`
}

async function writePages(
  archive: Archive,
  path: string,
  pages: AsyncGenerator<Page>,
  onObjects: (count: number) => void,
): Promise<FileEntry | undefined> {
  const first = await pages.next()
  if (first.done || (first.value.count === 0 && first.value.continueToken === '')) return undefined
  return archive.add(path, lines(first.value, pages, onObjects))
}

async function* lines(first: Page, rest: AsyncGenerator<Page>, onObjects: (count: number) => void) {
  yield first.lines
  onObjects(first.count)
  for await (const page of rest) {
    yield page.lines
    onObjects(page.count)
  }
}
