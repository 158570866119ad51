import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Json, Migration } from '../../migration/migration.ts'
import { changeInCluster } from './change.ts'
import type { Find } from './fields.ts'
import { countsOf, showSurvey } from './show.ts'
import { surveyCluster } from './survey.ts'

/**
 * Lists what in the cluster holds an old address, with whose it is; with `change`, what is nobody's gets the new one.
 * @param addresses the old ones, for the list's title
 * @returns how many objects there are of each owner
 */
export async function listInCluster(
  migration: Migration,
  api: KubernetesApi,
  find: Find,
  { addresses, change }: { addresses: string; change: boolean },
): Promise<Json> {
  const survey = await surveyCluster(api, find, migration)
  showSurvey(migration, survey, addresses)
  if (change) await changeInCluster(migration, api, find, survey)
  return countsOf(survey)
}
