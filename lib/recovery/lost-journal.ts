import { chooseBackup } from '../backup/choose.ts'
import { assertSameCluster, objectsInBackup } from '../backup/objects.ts'
import { findLostSuspensions, rememberUnsettledIn } from '../gitops/lost-suspensions.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { adoptCopies } from '../kubernetes/evacuation/adopt.ts'
import { findLostQuiet } from '../kubernetes/lost-quiet.ts'
import { rememberUnreadyIn } from '../kubernetes/readiness.ts'
import { adoptChanges, showLostChanges } from '../migration/adopt.ts'
import type { Migration } from '../migration/migration.ts'

/**
 * Makes up for a journal that went with its machine: what a backup says of replicas, suspensions and policies that are at a drain's values now is entered as
 * the drain's own changes. From then on all is as if the journal had never been lost.
 * @param named the backup's folder; '' for the newest one of this cluster
 * @throws OperatorError when there is no such backup, or it is of another cluster
 */
export async function makeUpForLostJournal(migration: Migration, api: KubernetesApi, named: string): Promise<void> {
  const backup = await chooseBackup(migration, named || undefined)
  await assertSameCluster(api, backup)
  const inBackup = await objectsInBackup(backup.folder)
  const { nodeName } = migration.settings
  const lost = [...(await findLostSuspensions(api, inBackup)), ...(await findLostQuiet(api, inBackup, nodeName))]
  migration.console.info(`From ${backup.folder}, taken at ${backup.manifest.createdAt}.`)
  showLostChanges(migration, lost)
  adoptChanges(migration, lost)
  await rememberUnsettledIn(migration, api, inBackup)
  await rememberUnreadyIn(migration, inBackup)
  await adoptCopies(migration, api)
}
