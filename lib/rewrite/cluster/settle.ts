import type { KubernetesApi } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import type { Find } from './fields.ts'
import { type Hit, type Survey, surveyCluster } from './survey.ts'
import { comesByItself } from './whose.ts'

/** What traffic goes by, and so comes soon: the history of a Deployment or of an Application may hold an old address for ever. */
const soon = new Set([
  'pods',
  'services',
  'ingresses.networking.k8s.io',
  'endpoints',
  'endpointslices.discovery.k8s.io',
])
const patienceSeconds = 60

/**
 * What of the cluster holds the address still once controllers have had time to write anew what comes by itself; for the end of an evening.
 * @throws RemoteError when there is no server
 */
export async function settledSurvey(migration: Migration, api: KubernetesApi, find: Find): Promise<Survey> {
  let last = await surveyCluster(api, find, migration)
  if (migration.dryRun || last.hits.filter(comesSoon).length === 0) return last
  const probe = async () => {
    last = await surveyCluster(api, find, migration)
    const [first, ...more] = last.hits.filter(comesSoon)
    if (first === undefined) return { met: true as const, value: undefined }
    return {
      met: false as const,
      saw: `${first.resource} ${first.name}${more.length > 0 ? ` and ${more.length} more` : ''}`,
    }
  }
  const name = 'controllers have written the new address where they write it'
  await migration.wait({ name, timeoutSeconds: patienceSeconds, everyMs: 2000, probe }).catch((error: unknown) => {
    // What is left is listed, by name and with its owner: that says more than a wait that was in vain.
    if (!(error instanceof OperatorError)) throw error
  })
  return last
}

function comesSoon({ resource, whose }: Hit): boolean {
  return soon.has(resource) && comesByItself(whose)
}
