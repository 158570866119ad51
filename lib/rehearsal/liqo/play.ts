import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import type { LiqoCluster } from './install.ts'
import { controlNetwork } from './network.ts'
import { controlOffloading } from './offloading.ts'

/** What a controller of Liqo's needs to know: its cluster, and the one that it works with. */
export interface Stage {
  readonly own: LiqoCluster
  readonly other: LiqoCluster
  /** resources whose finalizers are not taken off: what a controller that died leaves behind */
  readonly stuck: ReadonlySet<string>
}

/** Both clusters' Liqo at play. */
export interface Play {
  /** From now on nobody takes the finalizers off these resources, such as `tenants`. */
  jam(...resources: string[]): void
  /** What was jammed goes on. */
  free(): void
  stop(): Promise<void>
}

/**
 * Does in both clusters what Liqo's controllers do to the objects of a peering, as far as anybody can see it from outside: statuses, the
 * ForeignCluster, replicated slices, virtual nodes, and the end of all that.
 * Source: https://docs.liqo.io/en/v1.0.1/advanced/peering/ ; played against liqoctl 1.0.1
 */
export function playLiqo(one: LiqoCluster, two: LiqoCluster): Play {
  const stuck = new Set<string>()
  const stages: Stage[] = [
    { own: one, other: two, stuck },
    { own: two, other: one, stuck },
  ]
  let playing = true
  const act = async () => {
    while (playing) {
      for (const stage of stages) {
        for (const controller of [controlNetwork, controlAuthentication, controlOffloading, controlForeignCluster]) {
          await controller(stage).catch((error: unknown) => {
            // Somebody else was quicker, or a cluster is on its way up or down: the next round looks anew.
            if (playing && !(error instanceof ApiError) && (error as Error).name !== 'ConnectionError') throw error
          })
        }
      }
      await delay(300)
    }
  }
  const ended = act()
  // Whoever stops the play sees it.
  ended.catch(() => undefined)
  return {
    jam: (...resources) => {
      for (const resource of resources) stuck.add(resource)
    },
    free: () => stuck.clear(),
    stop: async () => {
      playing = false
      await ended
    },
  }
}

export const remoteLabel = 'liqo.io/remote-cluster-id'

/** The objects of a resource that are about the other cluster. */
export async function about({ own, other }: Stage, group: string, resource: string): Promise<KubernetesObject[]> {
  return own.api.list(`/apis/${group}/v1beta1/${resource}`, { labelSelector: `${remoteLabel}=${other.id}` })
}

export function pathOf(group: string, resource: string, { metadata }: KubernetesObject): string {
  const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  return `/apis/${group}/v1beta1${scope}/${resource}/${metadata.name}`
}

export async function setStatus(
  api: KubernetesApi,
  path: string,
  object: KubernetesObject,
  status: object,
): Promise<void> {
  const now = JSON.stringify({ ...(object.status as object | undefined), ...status })
  if (now === JSON.stringify(object.status)) return
  await api.mergePatch(`${path}/status`, { status })
}

/** Puts the controller's finalizer on; when the object is going, cleans up and takes it off. @returns whether it is here to stay */
export async function held(
  { own, stuck }: Stage,
  resource: string,
  path: string,
  object: KubernetesObject,
  cleanUp: () => Promise<void> = async () => undefined,
): Promise<boolean> {
  const finalizer = `${resource}.liqo.io/finalizer`
  const finalizers = object.metadata.finalizers ?? []
  if (object.metadata.deletionTimestamp === undefined) {
    if (!finalizers.includes(finalizer)) {
      await own.api.mergePatch(path, { metadata: { finalizers: [...finalizers, finalizer] } })
    }
    return true
  }
  if (stuck.has(resource) || !finalizers.includes(finalizer)) return false
  await cleanUp()
  await own.api.mergePatch(path, { metadata: { finalizers: finalizers.filter((each) => each !== finalizer) } })
  return false
}

export async function createOnce(api: KubernetesApi, collection: string, object: object): Promise<void> {
  await api.create(collection, object).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 409)) throw error
  })
}

export async function removeIfThere(api: KubernetesApi, path: string, options?: object): Promise<void> {
  await api.remove(path, options).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error
  })
}

const authentication = 'authentication.liqo.io'

async function controlAuthentication(stage: Stage): Promise<void> {
  const { own, other } = stage
  await fillNonces(stage)
  for (const tenant of await about(stage, authentication, 'tenants')) {
    const path = pathOf(authentication, 'tenants', tenant)
    if (!(await held(stage, 'tenants', path, tenant))) continue
    const authParams = { apiServer: own.api.server, ca: '', signedCRT: '' }
    await setStatus(own.api, path, tenant, { tenantNamespace: tenant.metadata.namespace, authParams })
  }
  for (const identity of await about(stage, authentication, 'identities')) {
    const kubeconfigSecretRef = { name: `kubeconfig-controlplane-${other.id}` }
    await setStatus(own.api, pathOf(authentication, 'identities', identity), identity, { kubeconfigSecretRef })
  }
}

async function fillNonces({ own }: Stage): Promise<void> {
  for (const [label, field] of [
    ['liqo.io/nonce', 'nonce'],
    ['liqo.io/signed-nonce', 'signedNonce'],
  ]) {
    const secrets = await own.api.list<KubernetesObject & { data?: Record<string, string> }>('/api/v1/secrets', {
      labelSelector: `${label}=true`,
    })
    for (const { metadata, data } of secrets) {
      if (field === undefined || data?.[field] !== undefined) continue
      const path = `/api/v1/namespaces/${metadata.namespace}/secrets/${metadata.name}`
      await own.api.mergePatch(path, { data: { [field]: randomBytes(32).toString('base64') } })
    }
  }
}

/** There is a ForeignCluster as long as anything of a module is there. */
async function controlForeignCluster(stage: Stage): Promise<void> {
  const { own, other } = stage
  const [tenants, identities, configurations, cluster] = await Promise.all([
    about(stage, authentication, 'tenants'),
    about(stage, authentication, 'identities'),
    about(stage, 'networking.liqo.io', 'configurations'),
    own.api.getOrNull(`/apis/core.liqo.io/v1beta1/foreignclusters/${other.id}`),
  ])
  const path = `/apis/core.liqo.io/v1beta1/foreignclusters/${other.id}`
  if (tenants.length + identities.length + configurations.length === 0) {
    if (cluster === null) return
    await removeIfThere(own.api, path)
    await held(stage, 'foreignclusters', path, await own.api.get(path))
    return
  }
  if (cluster === null) {
    return createOnce(own.api, '/apis/core.liqo.io/v1beta1/foreignclusters', {
      ...{ apiVersion: 'core.liqo.io/v1beta1', kind: 'ForeignCluster' },
      metadata: { name: other.id, labels: { [remoteLabel]: other.id } },
      spec: { clusterID: other.id },
    })
  }
  if (!(await held(stage, 'foreignclusters', path, cluster))) return
  const consumer = tenants.length > 0 ? 'Consumer' : ''
  const provider = identities.length > 0 ? 'Provider' : ''
  const role = consumer && provider ? 'ConsumerAndProvider' : consumer || provider || 'Unknown'
  await setStatus(own.api, path, cluster, { role, apiServerUrl: other.api.server })
}
