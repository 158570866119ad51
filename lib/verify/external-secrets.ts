import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { fullName } from '../kubernetes/kinds.ts'
import { collectionPath, servedResources } from '../kubernetes/served.ts'
import type { Baseline } from './baseline.ts'

interface Conditions {
  conditions?: { type: string; status: string; reason?: string; message?: string }[]
}

/**
 * External Secrets and the stores that they come from (1Password), by their Ready condition; none if the operator is
 * not installed.
 * Source: https://external-secrets.io/latest/api/externalsecret/
 */
export async function readExternalSecrets(api: KubernetesApi): Promise<Baseline['externalSecrets']> {
  const kinds = await servedResources(api, 'external-secrets.io', [
    'clustersecretstores',
    'secretstores',
    'externalsecrets',
  ])
  const lists = await Promise.all(
    kinds.map(async (kind) => {
      const objects = await api.list(collectionPath(kind))
      return objects.map((object) => ({ key: `${kind.kind} ${fullName(object)}`, ...readinessOf(object) }))
    }),
  )
  return lists.flat()
}

function readinessOf(object: KubernetesObject): { ready: string; message: string } {
  const { conditions } = (object.status ?? {}) as Conditions
  const ready = conditions?.find((each) => each.type === 'Ready')
  return { ready: ready?.status ?? 'Absent', message: ready?.message ?? ready?.reason ?? 'it has no Ready condition' }
}
