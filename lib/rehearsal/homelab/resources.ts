import * as z from 'zod'
import type { KubernetesObject } from '../../kubernetes/api.ts'

/** Where a kind is served. `statusApart`: its status is written through the status subresource only. */
export interface ResourceType {
  apiVersion: string
  kind: string
  plural: string
  namespaced: boolean
  statusApart: boolean
  /** defined by a CustomResourceDefinition */
  custom: boolean
}

const builtIn: [apiVersion: string, namespaced: boolean, kinds: Record<string, string>][] = [
  ['v1', false, { Namespace: 'namespaces', PersistentVolume: 'persistentvolumes' }],
  ['v1', true, { ConfigMap: 'configmaps', Secret: 'secrets', Service: 'services', ServiceAccount: 'serviceaccounts' }],
  ['v1', true, { PersistentVolumeClaim: 'persistentvolumeclaims' }],
  ['apps/v1', true, { Deployment: 'deployments', StatefulSet: 'statefulsets', DaemonSet: 'daemonsets' }],
  ['batch/v1', true, { CronJob: 'cronjobs', Job: 'jobs' }],
  ['autoscaling/v2', true, { HorizontalPodAutoscaler: 'horizontalpodautoscalers' }],
  ['policy/v1', true, { PodDisruptionBudget: 'poddisruptionbudgets' }],
  ['networking.k8s.io/v1', true, { Ingress: 'ingresses', NetworkPolicy: 'networkpolicies' }],
  ['networking.k8s.io/v1', false, { IngressClass: 'ingressclasses' }],
  ['storage.k8s.io/v1', false, { StorageClass: 'storageclasses' }],
  ['scheduling.k8s.io/v1', false, { PriorityClass: 'priorityclasses' }],
  ['rbac.authorization.k8s.io/v1', true, { Role: 'roles', RoleBinding: 'rolebindings' }],
  ['rbac.authorization.k8s.io/v1', false, { ClusterRole: 'clusterroles', ClusterRoleBinding: 'clusterrolebindings' }],
  ['apiextensions.k8s.io/v1', false, { CustomResourceDefinition: 'customresourcedefinitions' }],
]

const definitionSchema = z.object({
  spec: z.object({
    group: z.string(),
    scope: z.enum(['Namespaced', 'Cluster']),
    names: z.object({ kind: z.string(), plural: z.string() }),
    versions: z.array(
      z.object({ name: z.string(), subresources: z.object({ status: z.unknown().optional() }).optional() }),
    ),
  }),
})

/** The kinds that a homelab holds: Kubernetes' own, and those that its CustomResourceDefinitions define. */
export class ResourceTypes {
  #types = new Map<string, ResourceType>()

  constructor(definitions: KubernetesObject[] = []) {
    for (const [apiVersion, namespaced, kinds] of builtIn) {
      for (const [kind, plural] of Object.entries(kinds)) {
        this.#add({ apiVersion, kind, plural, namespaced, statusApart: true, custom: false })
      }
    }
    for (const definition of definitions) {
      const { group, scope, names, versions } = definitionSchema.parse(definition).spec
      for (const { name, subresources } of versions) {
        const type = { apiVersion: `${group}/${name}`, ...names, namespaced: scope === 'Namespaced' }
        this.#add({ ...type, statusApart: subresources?.status !== undefined, custom: true })
      }
    }
  }

  /** @throws Error when neither Kubernetes nor a CustomResourceDefinition of the homelab knows the kind */
  of(object: Pick<KubernetesObject, 'apiVersion' | 'kind'>): ResourceType {
    const type = this.#types.get(`${object.apiVersion} ${object.kind}`)
    if (!type) throw new Error(`no such kind in the homelab: ${object.apiVersion} ${object.kind}`)
    return type
  }

  /** The path of one object. Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris */
  path(object: KubernetesObject): string {
    const type = this.of(object)
    const namespace = type.namespaced ? `/namespaces/${object.metadata.namespace}` : ''
    return `${apiRoot(type.apiVersion)}${namespace}/${type.plural}/${object.metadata.name}`
  }

  /** The path of a kind's collection over all namespaces. */
  collection(object: Pick<KubernetesObject, 'apiVersion' | 'kind'>): string {
    const type = this.of(object)
    return `${apiRoot(type.apiVersion)}/${type.plural}`
  }

  #add(type: ResourceType): void {
    this.#types.set(`${type.apiVersion} ${type.kind}`, type)
  }
}

function apiRoot(apiVersion: string): string {
  return apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
}

/** `Deployment monitoring/grafana`: how an object is named in maps and messages. */
export function nameOf(object: { kind?: string; metadata: { name: string; namespace?: string } }): string {
  const { namespace, name } = object.metadata
  return `${object.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`
}
