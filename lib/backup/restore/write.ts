import {
  ApiError,
  type JsonPatchOperation,
  type KubernetesApi,
  type KubernetesObject,
  type Query,
} from '../../kubernetes/api.ts'
import { retrying } from '../../kubernetes/retry.ts'
import type { Migration } from '../../migration/migration.ts'
import { mergePatchBetween } from './difference.ts'
import { cannotBeMerged, isHopeless } from './refusal.ts'
import { addressTakenAway } from './services.ts'

export const fieldManager = 'talos-migrate'

interface Write {
  path: string
  object: KubernetesObject
  /** Nothing is stored: the server only says what it would say. */
  dryRun: boolean
  /** Told when something of the object had to be left out. */
  onNote: (note: string) => void
}

/** Null for 404. @throws OperatorError when there is no server any more */
export type Read = <T = KubernetesObject>(path: string) => Promise<T | null>

/**
 * Server-side apply of one object, all of whose fields are taken over.
 * Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
 * @throws ApiError when the server does not take it
 */
export class Writer {
  readonly #api: KubernetesApi
  readonly #migration: Migration

  constructor(migration: Migration, api: KubernetesApi) {
    this.#api = api
    this.#migration = migration
  }

  /** Makes the object what it is to be. Fields that others have put there stay. */
  async apply(write: Write): Promise<KubernetesObject> {
    try {
      return await this.#send(() => this.#api.apply(write.path, write.object, fieldManager, queryOf(write)))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const without = addressTakenAway(write.object, error)
      if (without) {
        write.onNote(without.note)
        return this.apply({ ...write, object: without.object })
      }
      if (cannotBeMerged(error)) return this.#writeWhole(write)
      throw error
    }
  }

  /** As apply, and takes away what the object is not to have: server-side apply leaves what another manager put there. */
  async applyExactly(write: Write, asWanted: (there: KubernetesObject) => KubernetesObject): Promise<KubernetesObject> {
    const applied = await this.apply(write)
    const patch = mergePatchBetween(asWanted(applied), write.object)
    if (patch === undefined || write.dryRun) return applied
    return this.#send(() => this.#api.mergePatch(write.path, patch, { fieldManager }))
  }

  async putStatus({ path, object }: Pick<Write, 'path' | 'object'>): Promise<void> {
    await this.#send(() => this.#api.mergePatch(`${path}/status`, { status: object.status }, { fieldManager }))
  }

  /** As getOrNull, and with the same patience as what is written. */
  readonly read: Read = (path) => this.#send(() => this.#api.getOrNull(path))

  async jsonPatch(path: string, operations: JsonPatchOperation[]): Promise<void> {
    await this.#send(() => this.#api.jsonPatch(path, operations))
  }

  /** As apply, for what cannot be merged: lists are replaced as wholes. */
  async #writeWhole(write: Write): Promise<KubernetesObject> {
    const query = { fieldManager, ...queryOf(write) }
    const collection = write.path.slice(0, write.path.lastIndexOf('/'))
    try {
      return await this.#send(() => this.#api.create(collection, write.object, query))
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      return this.#send(() => this.#api.mergePatch(write.path, write.object, query))
    }
  }

  #send<T>(attempt: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#migration
    const means = 'The restore stops here; what was restored so far is in the journal.'
    return retrying({ clock, signal, means, hopeless: isHopeless }, attempt)
  }
}

function queryOf({ dryRun }: Write): Query {
  return dryRun ? { dryRun: 'All' } : {}
}
