import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { type LabelSelector, selects } from '../../kubernetes/kinds.ts'
import { collectionPath, servedResources } from '../../kubernetes/served.ts'

/** What the evening creates or changes, by its API group: a webhook that is away, and asked for one of these, stops it. */
const changed: Record<string, readonly string[]> = {
  '': ['nodes', 'pods', 'persistentvolumeclaims'],
  apps: ['deployments', 'replicasets', 'statefulsets', 'daemonsets'],
  batch: ['jobs', 'cronjobs'],
  'kustomize.toolkit.fluxcd.io': ['kustomizations'],
  'helm.toolkit.fluxcd.io': ['helmreleases'],
  'source.toolkit.fluxcd.io': ['gitrepositories'],
  'argoproj.io': ['applications'],
}

interface Selectors {
  namespaceSelector?: LabelSelector
  objectSelector?: LabelSelector
}

/**
 * Whether a webhook is asked for anything of tonight: by its resources, and where it has selectors, by what is there now and selected.
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-objectselector
 * @param asked resources as its rules have them: `pods`, `pods/eviction`, `*`
 */
export async function concernsTonight(
  api: KubernetesApi,
  asked: readonly string[],
  { namespaceSelector = {}, objectSelector = {} }: Selectors,
): Promise<boolean> {
  const names = new Set(asked.map((resource) => resource.split('/')[0]))
  const isAsked = (resource: string) => names.has('*') || names.has(resource)
  const meant = Object.entries(changed).map(([group, all]) => ({ group, resources: all.filter(isAsked) }))
  if (meant.every(({ resources }) => resources.length === 0)) return false
  if (isEmpty(namespaceSelector) && isEmpty(objectSelector)) return true
  const namespaces = await api.list('/api/v1/namespaces')
  const selected = namespaces.filter(({ metadata }) => selects(namespaceSelector, metadata.labels))
  const within = new Set(selected.map(({ metadata }) => metadata.name))
  const labelSelector = selectorText(objectSelector)
  const found = await Promise.all(
    meant.map(async ({ group, resources }) => {
      const paths = await pathsOf(api, group, resources)
      const lists = await Promise.all(paths.map((path) => api.list<KubernetesObject>(path, { labelSelector })))
      // What has no namespace is selected by its own labels alone.
      return lists.flat().some(({ metadata: { namespace } }) => namespace === undefined || within.has(namespace))
    }),
  )
  return found.includes(true)
}

async function pathsOf(api: KubernetesApi, group: string, resources: readonly string[]): Promise<string[]> {
  if (group === '') return resources.map((resource) => `/api/v1/${resource}`)
  const served = resources.length === 0 ? [] : await servedResources(api, group, resources)
  return served.map((each) => collectionPath(each))
}

function isEmpty({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  return Object.keys(matchLabels).length + matchExpressions.length === 0
}

/** As a query has it: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api ; undefined for one that selects all. */
function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string | undefined {
  const parts = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      if (operator === 'Exists') return key
      return operator === 'DoesNotExist' ? `!${key}` : `${key} ${operator.toLowerCase()} (${values.join(',')})`
    }),
  ]
  return parts.length === 0 ? undefined : parts.join(',')
}
