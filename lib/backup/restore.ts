import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import type { BackedUpObjects } from './restore/source.ts'

export type { BackedUpObjects, Selection } from './restore/source.ts'
export { backedUpObjects } from './restore/source.ts'

/** What is done about an object that is there and is not as it was backed up. */
export type Conflict = 'skip' | 'update' | 'fail'

export interface RestoreOptions {
  conflict: Conflict
}

/** How many objects came to what, by resource. Plain JSON, and free of secrets. */
export type RestoreSummary = {
  resources: {
    resource: string
    created: number
    updated: number
    equal: number
    skipped: number
    refused: number
    left: number
  }[]
  refused: { object: string; reason: string; next: string }[]
}

/**
 * Puts the selected objects of a backup back into the cluster, each after what it needs.
 * @param source by backedUpObjects
 * @throws OperatorError before anything is changed, when a file of the backup is not what it should be, or (conflict `fail`) when an
 * object is there and differs; what the API refuses is in the summary
 */
export async function restoreObjects(
  _migration: Migration,
  _api: KubernetesApi,
  _source: BackedUpObjects,
  _options: RestoreOptions,
): Promise<RestoreSummary> {
  throw new Error('comes next')
}
