import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { findOperated, pauseAgain, pauseOperators } from './operators.ts'
import { scaleDownAgain } from './scale.ts'
import { findStrangers, stopStrangers } from './strangers.ts'
import { findStateful } from './workloads.ts'

/**
 * Keeps operators from scaling back what is about to be scaled down: those that the table knows by their own means, the others, and those whose custom resource
 * took no pause, by being scaled down themselves.
 */
export async function quietOperators(migration: Migration, api: KubernetesApi): ReturnType<typeof stopStrangers> {
  const deaf = await pauseOperators(migration, api, await findOperated(api))
  const stateful = await findStateful(api, migration.settings)
  return stopStrangers(migration, api, await findStrangers(api, stateful, deaf))
}

/** Quiets again what somebody has woken since. @returns its names */
export async function quietAgain(migration: Migration, api: KubernetesApi): Promise<string[]> {
  return [...(await pauseAgain(migration, api)), ...(await scaleDownAgain(migration, api))]
}
