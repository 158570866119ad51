import { ApiError, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import { collectionPath, type ServedResource, servedResources } from '../../kubernetes/served.ts'
import { OperatorError } from '../../migration/errors.ts'

/** The resources that a peering consists of, by group. Source: https://docs.liqo.io/en/v1.0.1/advanced/peering/ */
const resourcesOf = {
  'core.liqo.io': ['foreignclusters'],
  'offloading.liqo.io': ['virtualnodes', 'namespaceoffloadings', 'namespacemaps', 'quotas', 'shadowpods'],
  'authentication.liqo.io': ['resourceslices', 'tenants', 'identities'],
  'networking.liqo.io': ['configurations', 'connections', 'gatewayservers', 'gatewayclients', 'publickeys'],
} as const

export type LiqoResource = (typeof resourcesOf)[keyof typeof resourcesOf][number]

/** Which of both clusters: ours, or the one that it is peered with. */
export type SideName = 'here' | 'there'

/** One of the two clusters of a peering, with Liqo running in it. */
export interface Side {
  readonly name: SideName
  readonly api: KubernetesApi
  /** path of the kubeconfig, for liqoctl */
  readonly kubeconfig: string
  /** where Liqo is installed */
  readonly namespace: string
  /** what Liqo calls this cluster */
  readonly clusterId: string
  readonly served: ReadonlyMap<string, ServedResource>
}

/** What there is of Liqo in a cluster. */
export type Installation =
  | { state: 'absent' }
  | { state: 'at zero'; deployment: string }
  | { state: 'running'; side: Side }

interface Scaled extends KubernetesObject {
  spec: { replicas?: number }
}

/** An object of Liqo's, and where the API serves it. */
export interface LiqoObject {
  /** as kubectl writes it: `tenants.authentication.liqo.io` */
  readonly resource: string
  readonly path: string
  readonly object: KubernetesObject
}

export const remoteClusterLabel = 'liqo.io/remote-cluster-id'

/**
 * Looks whether Liqo is installed in a cluster, and whether its controllers are meant to run.
 * Source: https://docs.liqo.io/en/v1.0.1/installation/install.html (Deployment liqo-controller-manager; the cluster's ID in the
 * ConfigMap labelled app.kubernetes.io/name=clusterid-configmap)
 * @throws OperatorError when it runs and does not say the cluster's ID
 */
export async function lookForLiqo(where: Omit<Side, 'clusterId' | 'served'>): Promise<Installation> {
  const { api, namespace } = where
  const served = await servedByLiqo(api)
  if (!served.has('foreignclusters')) return { state: 'absent' }
  const deployments = await api.list<Scaled>(`/apis/apps/v1/namespaces/${namespace}/deployments`)
  const controllers = deployments.filter(({ metadata }) => metadata.name.endsWith('controller-manager'))
  const [first] = controllers
  if (first === undefined) return { state: 'absent' }
  if (controllers.every(({ spec }) => spec.replicas === 0)) return { state: 'at zero', deployment: first.metadata.name }
  return { state: 'running', side: { ...where, served, clusterId: await clusterIdOf(where) } }
}

/** Objects of one of Liqo's resources; none, if this version of Liqo does not have it. */
export async function liqoObjects(side: Side, resource: LiqoResource): Promise<LiqoObject[]> {
  const served = side.served.get(resource)
  if (served === undefined) return []
  const objects = await side.api.list(collectionPath(served)).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 404) return []
    throw error
  })
  return objects.map((object) => ({
    resource: `${resource}.${served.group}`,
    path: `${collectionPath(served, object.metadata.namespace)}/${object.metadata.name}`,
    object: { apiVersion: `${served.group}/${served.version}`, kind: served.kind, ...object },
  }))
}

/** `this cluster (catalyst)`, `the other cluster (aws-gpu)`: how a side is called. */
export function calledSide({ name, clusterId }: Pick<Side, 'name' | 'clusterId'>): string {
  return name === 'here' ? `this cluster (${clusterId})` : `the other cluster (${clusterId})`
}

async function servedByLiqo(api: KubernetesApi): Promise<Map<string, ServedResource>> {
  const groups = await Promise.all(
    Object.entries(resourcesOf).map(([group, resources]) => servedResources(api, group, resources)),
  )
  return new Map(groups.flat().map((served) => [served.resource, served]))
}

async function clusterIdOf({ name, api, namespace }: Omit<Side, 'clusterId' | 'served'>): Promise<string> {
  const [found] = await api.list<KubernetesObject & { data?: Record<string, string> }>(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { labelSelector: 'app.kubernetes.io/name=clusterid-configmap' },
  )
  const id = found?.data?.CLUSTER_ID
  if (id) return id
  const setting = name === 'here' ? 'LIQO_NAMESPACE' : 'LIQO_REMOTE_NAMESPACE'
  throw new OperatorError(
    `Liqo in the namespace ${namespace} at ${api.server} does not say what it calls its cluster.`,
    {
      means:
        'There is no ConfigMap labelled app.kubernetes.io/name=clusterid-configmap with CLUSTER_ID. Nothing was changed.',
      next: `Set ${setting} to the namespace that Liqo was installed in: kubectl get pods -A | grep liqo`,
    },
  )
}
