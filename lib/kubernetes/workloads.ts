import type { Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { controllerOf, type PodSpec, type Workload } from './kinds.ts'
import { describeMount, type Mount, Storage, type Whereabouts } from './mounts.ts'

/** A kind whose replicas can be set, and where it is served. */
export interface ScalableKind {
  readonly kind: string
  readonly apiVersion: string
  readonly collection: string
}

/**
 * A ReplicaSet or ReplicationController counts only if nothing controls it: a Deployment's own is scaled by its
 * Deployment.
 */
const scalableKinds: readonly ScalableKind[] = [
  { kind: 'Deployment', apiVersion: 'apps/v1', collection: 'deployments' },
  { kind: 'StatefulSet', apiVersion: 'apps/v1', collection: 'statefulsets' },
  { kind: 'ReplicaSet', apiVersion: 'apps/v1', collection: 'replicasets' },
  { kind: 'ReplicationController', apiVersion: 'v1', collection: 'replicationcontrollers' },
]

/** The custom resource that controls a workload, as its owner reference names it. */
export interface OwningResource {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly uid: string
}

/** A workload with replicas, as it is now, and why it has to be quiet. */
export interface ScalableWorkload {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly path: string
  readonly replicas: number
  /** claims that it mounts, by name */
  readonly claims: readonly string[]
  /** the custom resource whose operator would scale it back; null if nobody does */
  readonly operatedBy: OwningResource | null
  readonly object: Workload
}

export interface StatefulWorkload extends ScalableWorkload {
  readonly reason: string
}

/** Every workload of the cluster that has replicas of its own. */
export async function listScalable(api: KubernetesApi): Promise<ScalableWorkload[]> {
  const lists = await Promise.all(
    scalableKinds.map(async (kind) => {
      const objects = await api.list<Workload>(`${rootOf(kind)}/${kind.collection}`)
      return objects.flatMap((object) => scalable(kind, rootOf(kind), object) ?? [])
    }),
  )
  return lists.flat()
}

/** Every workload with replicas of its own that a backup holds, as it was when it was taken. */
export async function scalableIn(
  inBackup: (group: string, resource: string) => Promise<KubernetesObject[]>,
): Promise<ScalableWorkload[]> {
  const lists = await Promise.all(
    scalableKinds.map(async (kind) => {
      const group = kind.apiVersion === 'v1' ? '' : 'apps'
      const objects = (await inBackup(group, kind.collection)) as Workload[]
      return objects.flatMap((object) => scalable(kind, rootOf(kind), object) ?? [])
    }),
  )
  return lists.flat()
}

/**
 * What has to be at rest before the state is copied and the machine goes: all of the namespaces in STATEFUL_NAMESPACES
 * (one that is empty or not there has nothing), and whoever mounts a claim, wherever it is. Those at zero already are
 * not listed: there is nothing to change.
 */
export async function findStateful(
  api: KubernetesApi,
  settings: Pick<Settings, 'statefulNamespaces' | 'localStorageClasses' | 'nfsStorageClasses'>,
): Promise<StatefulWorkload[]> {
  const [workloads, storage] = await Promise.all([listScalable(api), Storage.read(api, settings)])
  return workloads.flatMap((workload) => {
    const reason = whyStateful(workload, storage.mountsOf(workload.object), settings.statefulNamespaces)
    return reason !== null && workload.replicas > 0 ? [{ ...workload, reason }] : []
  })
}

/** Shows what is going to be quieted, with its replicas and why. */
export function showStateful({ console }: Migration, workloads: readonly StatefulWorkload[]): void {
  if (workloads.length === 0) {
    console.info('No stateful workload is running: nothing to scale down.')
    return
  }
  const rows = workloads.map((workload) => [describeWorkload(workload), String(workload.replicas), workload.reason])
  console.table('Stateful workloads, scaled to 0', ['workload', 'replicas', 'why'], rows)
}

function rootOf({ apiVersion }: ScalableKind): string {
  return apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`
}

function scalable(kind: ScalableKind, root: string, object: Workload): ScalableWorkload | null {
  const { namespace = '', name, uid = '' } = object.metadata
  const owner = controllerOf(object)
  if (owner?.apiVersion.startsWith('apps/')) return null
  return {
    kind: kind.kind,
    namespace,
    name,
    uid,
    path: `${root}/namespaces/${namespace}/${kind.collection}/${name}`,
    replicas: object.spec.replicas ?? 1,
    claims: claimsOf(object),
    operatedBy: owner
      ? { group: owner.apiVersion.split('/')[0] ?? '', kind: owner.kind, name: owner.name, uid: owner.uid }
      : null,
    object,
  }
}

/** As operators write it: `Deployment media/plex`. */
export function describeWorkload({
  kind,
  namespace,
  name,
}: Pick<ScalableWorkload, 'kind' | 'namespace' | 'name'>): string {
  return `${kind} ${namespace}/${name}`
}

/** Claims that a pod template names, and the ones that a StatefulSet makes of its templates: TEMPLATE-NAME-ORDINAL. */
function claimsOf(object: Workload): string[] {
  const named = claimsOfTemplate(object.spec.template?.spec)
  const made = (object.spec.volumeClaimTemplates ?? []).flatMap((template) =>
    Array.from(
      { length: object.spec.replicas ?? 1 },
      (_, ordinal) => `${template.metadata.name}-${object.metadata.name}-${ordinal}`,
    ),
  )
  return [...named, ...made]
}

/** The claims that a pod template (or a pod) names; those made from volumeClaimTemplates are not in it. */
export function claimsOfTemplate(template: PodSpec | undefined): string[] {
  return (template?.volumes ?? []).flatMap((volume) => volume.persistentVolumeClaim?.claimName ?? [])
}

/** The volume that tells most: what will be lost, then what must not be written to while its server is copied. */
function whyStateful(
  workload: ScalableWorkload,
  mounts: readonly Mount[],
  statefulNamespaces: readonly string[],
): string | null {
  const order: readonly Whereabouts[] = ['local', 'NFS', 'other']
  const [mount] = mounts.toSorted((a, b) => order.indexOf(a.whereabouts) - order.indexOf(b.whereabouts))
  if (mount) return `mounts ${describeMount(mount)}`
  return statefulNamespaces.includes(workload.namespace) ? `namespace ${workload.namespace}` : null
}
