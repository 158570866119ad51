import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { Migration } from '../../migration/migration.ts'
import { objectKey } from './identity.ts'
import type { Needs } from './needs.ts'
import type { BackedUpObjects } from './source.ts'

interface Definition extends KubernetesObject {
  spec: { group: string; names: { plural: string }; versions: { name: string; served: boolean }[] }
  status?: { conditions?: { type: string; status: string; message?: string }[] }
}

/**
 * Waits until the restored definitions are established and served: a custom resource before that is refused as unknown.
 * Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 * @throws OperatorError after API_TIMEOUT, with what the API server has against the definition
 */
export async function definitionsAreServed(
  migration: Migration,
  api: KubernetesApi,
  source: BackedUpObjects,
  { selected, needed, resources }: Needs,
): Promise<void> {
  const entry = resources.find(({ resource }) => resource === 'customresourcedefinitions')
  if (entry === undefined || migration.dryRun) return
  for await (const object of source.objects(entry)) {
    const key = objectKey(object)
    if (!selected.has(key) && !needed.has(key)) continue
    const { name } = object.metadata
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`
    // One that was refused is in the summary; nothing is to be waited for.
    if (!(await api.getOrNull(path))) continue
    await migration.wait({
      name: `CustomResourceDefinition ${name} is established and served`,
      timeoutSeconds: migration.settings.apiTimeout,
      everyMs: 200,
      hint: `Look at it: kubectl describe crd ${name}`,
      probe: () => probe(api, path),
    })
  }
}

async function probe(api: KubernetesApi, path: string) {
  const { spec, status } = await api.get<Definition>(path)
  const conditions = status?.conditions ?? []
  if (!conditions.some(({ type, status }) => type === 'Established' && status === 'True')) {
    const against = conditions.find(({ status }) => status === 'False')?.message
    return { met: false as const, saw: against ?? 'not established yet' }
  }
  for (const { name, served } of spec.versions) {
    if (served) await api.raw(`/apis/${spec.group}/${name}/${spec.names.plural}`, { limit: 1 })
  }
  return { met: true as const, value: null }
}
