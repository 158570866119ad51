import type { KubernetesApi } from './api.ts'

interface ApiGroup {
  versions: { groupVersion: string; version: string }[]
  preferredVersion?: { version: string }
}

interface ApiResourceList {
  resources: { name: string; kind: string; namespaced: boolean }[]
}

/** A resource that the server serves, at the version that it prefers among those that have the resource. */
export interface ServedResource {
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly kind: string
  readonly namespaced: boolean
}

/**
 * Which of the wanted resources of one API group are served. None, if the group is unknown (its operator is not
 * installed). A group may serve an older resource at an older version alone (Flux's OCIRepository once was), so each is
 * looked for by itself.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
export async function servedResources(
  api: KubernetesApi,
  group: string,
  wanted: readonly string[],
): Promise<ServedResource[]> {
  const found = await api.getOrNull<ApiGroup>(`/apis/${group}`)
  if (!found) return []
  const served = new Map<string, ServedResource>()
  for (const { version } of preferredFirst(found)) {
    if (wanted.every((resource) => served.has(resource))) break
    const list = await api.getOrNull<ApiResourceList>(`/apis/${group}/${version}`)
    for (const { name, kind, namespaced } of list?.resources ?? []) {
      if (!wanted.includes(name) || served.has(name)) continue
      served.set(name, { group, version, resource: name, kind, namespaced })
    }
  }
  return wanted.flatMap((resource) => served.get(resource) ?? [])
}

/** The path of a served resource's collection, of one namespace or of all. */
export function collectionPath(served: ServedResource, namespace?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`
  return `/apis/${served.group}/${served.version}${scope}/${served.resource}`
}

function preferredFirst(group: ApiGroup): { version: string }[] {
  const preferred = group.preferredVersion?.version
  return [...group.versions].sort((a, b) => Number(b.version === preferred) - Number(a.version === preferred))
}
