import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, type ServedResource, servedResources } from '../kubernetes/served.ts'
import type { Json } from '../migration/journal.ts'
import type { Owned } from './ordering.ts'

export type JsonObject = { [key: string]: Json }

/** Argo CD compares at once when it is there, and takes it away. Source: https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/ */
export const refreshAnnotation = 'argocd.argoproj.io/refresh'

/** One Application or ApplicationSet, as it is now. */
export interface ArgoObject extends Owned {
  readonly kind: 'Application' | 'ApplicationSet'
  readonly namespace: string
  readonly name: string
  readonly path: string
  /** `spec.syncPolicy`; null if there is none */
  readonly syncPolicy: JsonObject | null
  /** the request to compare again that stands in its annotations; null if there is none */
  readonly refresh: string | null
  readonly syncing: boolean
  readonly sync: string
  readonly health: string
  readonly message: string
}

interface ArgoStatus {
  sync?: { status?: string }
  health?: { status?: string; message?: string }
  operationState?: { phase?: string; message?: string }
  conditions?: { type: string; message?: string }[]
  resources?: { group?: string; kind: string; namespace?: string; name: string }[]
}

const group = 'argoproj.io'

/**
 * ApplicationSets and Applications, if Argo CD is installed. Argo Workflows and Rollouts share the group and are not
 * meant.
 */
export async function servedArgoKinds(api: KubernetesApi): Promise<ServedResource[]> {
  return servedResources(api, group, ['applicationsets', 'applications'])
}

/**
 * Every Application and ApplicationSet, each with whoever writes it: its ApplicationSet, or the Application whose
 * manifests it is among.
 */
export async function readArgoCd(api: KubernetesApi, kinds: readonly ServedResource[]): Promise<ArgoObject[]> {
  return argoObjects(kinds, (kind) => api.list(collectionPath(kind)))
}

/** The objects that a backup holds, as they were when it was taken. */
export async function argoObjectsFrom(
  kinds: readonly ServedResource[],
  inBackup: (group: string, resource: string) => Promise<KubernetesObject[]>,
): Promise<ArgoObject[]> {
  return argoObjects(kinds, (kind) => inBackup(kind.group, kind.resource))
}

async function argoObjects(
  kinds: readonly ServedResource[],
  read: (kind: ServedResource) => Promise<KubernetesObject[]>,
): Promise<ArgoObject[]> {
  const lists = await Promise.all(kinds.map(async (kind) => (await read(kind)).map((object) => ({ kind, object }))))
  const found = lists.flat()
  const writers = writersFromStatus(found.map(({ kind, object }) => ({ kind: kind.kind, object })))
  return found.map(({ kind, object }) => argoObject(kind, object, writers))
}

/** Whether Argo CD changes the cluster by itself for this object. */
export function isAutomatic(object: ArgoObject): boolean {
  if (object.kind === 'ApplicationSet') return object.syncPolicy?.applicationsSync !== 'create-only'
  const automated = object.syncPolicy?.automated
  return isJsonObject(automated) && automated.enabled !== false
}

/** Whether a JSON value is an object: no array, no null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Parents by `status.resources`: what an Application last rendered. It knows children that carry no tracking label. */
function writersFromStatus(objects: readonly { kind: string; object: KubernetesObject }[]): Map<string, string[]> {
  const writers = new Map<string, string[]>()
  for (const { kind, object } of objects) {
    if (kind !== 'Application') continue
    const parent = keyOf('Application', object.metadata.namespace ?? '', object.metadata.name)
    for (const child of ((object.status ?? {}) as ArgoStatus).resources ?? []) {
      if (child.group !== group) continue
      const key = keyOf(child.kind, child.namespace ?? object.metadata.namespace ?? '', child.name)
      writers.set(key, [...(writers.get(key) ?? []), parent])
    }
  }
  return writers
}

function argoObject(
  kind: ServedResource,
  object: KubernetesObject,
  writers: ReadonlyMap<string, string[]>,
): ArgoObject {
  const { name, namespace = '' } = object.metadata
  const key = keyOf(kind.kind, namespace, name)
  const spec = (object.spec ?? {}) as { syncPolicy?: JsonObject }
  const status = (object.status ?? {}) as ArgoStatus
  return {
    key,
    parents: [...(writers.get(key) ?? []), ...trackedParents(object), ...owners(object)],
    kind: kind.kind === 'ApplicationSet' ? 'ApplicationSet' : 'Application',
    namespace,
    name,
    path: `${collectionPath(kind, namespace)}/${name}`,
    syncPolicy: spec.syncPolicy ?? null,
    refresh: object.metadata.annotations?.[refreshAnnotation] ?? null,
    syncing: status.operationState?.phase === 'Running' || object.operation !== undefined,
    sync: status.sync?.status ?? 'Unknown',
    health: status.health?.status ?? 'Unknown',
    message: status.health?.message ?? status.conditions?.[0]?.message ?? status.operationState?.message ?? '',
  }
}

/** Source: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ */
function trackedParents(object: KubernetesObject): string[] {
  const { namespace = '', labels = {}, annotations = {} } = object.metadata
  const tracked = annotations['argocd.argoproj.io/tracking-id']?.split(':')[0] ?? labels['app.kubernetes.io/instance']
  return tracked ? [keyOf('Application', namespace, tracked)] : []
}

function owners(object: KubernetesObject): string[] {
  const references = object.metadata.ownerReferences ?? []
  return references
    .filter((owner) => owner.apiVersion.startsWith(`${group}/`))
    .map((owner) => keyOf(owner.kind, object.metadata.namespace ?? '', owner.name))
}

function keyOf(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}
