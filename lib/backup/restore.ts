import pMap, { pMapSkip } from 'p-map'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { atMostEvery } from '../migration/clock.ts'
import type { Migration } from '../migration/migration.ts'
import type { ResourceEntry } from './manifest.ts'
import { keeperIn } from './restore/before.ts'
import { definitionsAreServed } from './restore/definitions.ts'
import { objectKey } from './restore/identity.ts'
import { findNeeds, type Needs } from './restore/needs.ts'
import { type Context, restoreObject } from './restore/object.ts'
import { comesLast } from './restore/order.ts'
import { OwnerLookup } from './restore/owners.ts'
import { Places } from './restore/places.ts'
import { refuseDifferences } from './restore/refuse-differences.ts'
import { type BackedUpObjects, resourceName } from './restore/source.ts'
import { type RestoreSummary, Tally } from './restore/tally.ts'
import { Writer } from './restore/write.ts'

export type { BackedUpObjects, Selection } from './restore/source.ts'
export { backedUpObjects } from './restore/source.ts'
export { type RestoreSummary, showSummary } from './restore/tally.ts'

/** What is done about an object that is there and is not as it was backed up: `fail` changes nothing at all when there is one. */
export type Conflict = 'skip' | 'update' | 'fail'

export interface RestoreOptions {
  conflict: Conflict
}

/** Objects restored at once: one waits for the journal's disk while another waits for the API. */
const atOnce = 8

/**
 * Puts the selected objects of a backup back into the cluster, each after what it needs, and with it what it needs: its namespace, its
 * volume, its definition, where they are not there. Called again after a kill, it goes on.
 * @param source by backedUpObjects
 * @throws OperatorError before anything is changed, when a file of the backup is not what it should be, or (conflict `fail`) when an
 * object is there and differs; what the API refuses is in the summary
 */
export async function restoreObjects(
  migration: Migration,
  api: KubernetesApi,
  source: BackedUpObjects,
  { conflict }: RestoreOptions,
): Promise<RestoreSummary> {
  const needs = await findNeeds(source)
  const context = contextOf(migration, api, source, needs, conflict)
  if (conflict === 'fail') await refuseDifferences(context, source)
  const restoration = new Restoration(context, api, source)
  for (const entry of needs.resources.filter((one) => !comesLast(one))) await restoration.restore(entry)
  await restoration.restoreWhatWaited()
  for (const entry of needs.resources.filter(comesLast)) await restoration.restore(entry)
  await restoration.restoreWhatStillWaits()
  return context.tally.summary()
}

function contextOf(
  migration: Migration,
  api: KubernetesApi,
  { manifest }: BackedUpObjects,
  needs: Needs,
  conflict: Conflict,
): Context {
  const writer = new Writer(migration, api)
  const places = new Places(writer.read)
  const { ageRecipients } = migration.settings
  // Where a passphrase opens the backup, it opens what is kept of a restore from it.
  const recipients = ageRecipients.includes('passphrase') ? manifest.recipients : ageRecipients
  return {
    migration,
    needs,
    places,
    owners: new OwnerLookup(writer.read, places),
    writer,
    tally: new Tally(migration.console),
    keeper: conflict === 'update' ? keeperIn(migration.runFolder, recipients) : undefined,
    withoutOwner: new Set(),
  }
}

/** Goes through a backup, resource by resource, and comes back to what had to wait. Holds keys, never objects. */
class Restoration {
  readonly #context: Context
  readonly #source: BackedUpObjects
  readonly #api: KubernetesApi
  readonly #showProgress: () => void
  #waiting = new Map<ResourceEntry, Set<string>>()

  constructor(context: Context, api: KubernetesApi, source: BackedUpObjects) {
    this.#api = api
    this.#context = context
    this.#source = source
    const { clock, console } = context.migration
    const everySecond = atMostEvery(1000, clock)
    this.#showProgress = () =>
      everySecond(() => console.detail(`${context.tally.objects} of ${context.needs.selected.size} objects`))
  }

  async restore(entry: ResourceEntry): Promise<void> {
    await this.#go(entry, (key) => this.#isToRestore(key), false)
    if (resourceName(entry) !== 'customresourcedefinitions.apiextensions.k8s.io') return
    const { migration, needs, places } = this.#context
    await definitionsAreServed(migration, this.#api, this.#source, needs)
    places.forget()
  }

  /** What waited for its owner, as long as owners come. */
  async restoreWhatWaited(): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY; this.#waits > 0 && this.#waits < before; ) {
      before = this.#waits
      await this.#again(false)
    }
  }

  async restoreWhatStillWaits(): Promise<void> {
    await this.restoreWhatWaited()
    await this.#again(true)
  }

  async #again(final: boolean): Promise<void> {
    this.#context.places.forget()
    const waited = this.#waiting
    this.#waiting = new Map()
    for (const [entry, keys] of waited) await this.#go(entry, (key) => keys.has(key), final)
  }

  async #go(entry: ResourceEntry, takes: (key: string) => boolean, final: boolean): Promise<void> {
    const one = async (object: KubernetesObject) => {
      const key = objectKey(object)
      if (!takes(key)) return pMapSkip
      if ((await restoreObject(this.#context, entry, object, { final })) === 'waits') this.#wait(entry, key)
      this.#showProgress()
      return pMapSkip
    }
    await pMap(this.#source.objects(entry), one, { concurrency: atOnce })
  }

  get #waits(): number {
    return [...this.#waiting.values()].reduce((sum, keys) => sum + keys.size, 0)
  }

  #wait(entry: ResourceEntry, key: string): void {
    this.#waiting.set(entry, (this.#waiting.get(entry) ?? new Set()).add(key))
  }

  #isToRestore(key: string): boolean {
    const { selected, needed } = this.#context.needs
    return selected.has(key) || needed.has(key)
  }
}
