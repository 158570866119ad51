import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, type ServedResource, servedResources } from '../kubernetes/served.ts'
import { generations, type Owned } from './ordering.ts'

/** What a kind does in Flux decides when it is suspended and resumed. */
export type FluxRole = 'applier' | 'release' | 'source'

/**
 * Every kind of Flux that has `spec.suspend` and acts on its own, in the order of suspension: what applies manifests
 * goes first, for it would write the others back; a source that is still fetched harms nobody.
 * Source: https://fluxcd.io/flux/components/
 */
const fluxKinds: readonly { group: string; resource: string; role: FluxRole }[] = [
  { group: 'kustomize.toolkit.fluxcd.io', resource: 'kustomizations', role: 'applier' },
  { group: 'helm.toolkit.fluxcd.io', resource: 'helmreleases', role: 'release' },
  { group: 'source.toolkit.fluxcd.io', resource: 'gitrepositories', role: 'source' },
  { group: 'source.toolkit.fluxcd.io', resource: 'ocirepositories', role: 'source' },
  { group: 'source.toolkit.fluxcd.io', resource: 'helmrepositories', role: 'source' },
  { group: 'source.toolkit.fluxcd.io', resource: 'helmcharts', role: 'source' },
  { group: 'source.toolkit.fluxcd.io', resource: 'buckets', role: 'source' },
  { group: 'image.toolkit.fluxcd.io', resource: 'imagerepositories', role: 'source' },
  { group: 'image.toolkit.fluxcd.io', resource: 'imageupdateautomations', role: 'source' },
]

/** One object of Flux, as it is now. */
export interface FluxObject extends Owned {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly path: string
  readonly role: FluxRole
  readonly suspended: boolean
  /** `spec.suspend` as written: absent is not the same text as false, and is put back as it was. */
  readonly suspendField: boolean | null
  /** The Ready condition; Unknown means that it is being worked on, Absent that nobody ever has. */
  readonly ready: 'True' | 'False' | 'Unknown' | 'Absent'
  readonly message: string
  /** Applying manifests at this moment; checking health afterwards does not count, for it writes nothing. */
  readonly applying: boolean
  /** What the controller last looked at is what is written now. */
  readonly observed: boolean
  /** the request to reconcile that stands in its annotations; null if there is none */
  readonly requestedAt: string | null
}

/**
 * Its controller looks at once when this changes. Source:
 * https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile
 */
export const requestAnnotation = 'reconcile.fluxcd.io/requestedAt'

export interface FluxResource extends ServedResource {
  readonly role: FluxRole
}

interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
}

/** The kinds of Flux that this cluster serves; none if Flux is not installed. */
export async function servedFluxKinds(api: KubernetesApi): Promise<FluxResource[]> {
  const groups = [...new Set(fluxKinds.map((kind) => kind.group))]
  const served = await Promise.all(
    groups.map((group) => {
      const wanted = fluxKinds.filter((kind) => kind.group === group).map((kind) => kind.resource)
      return servedResources(api, group, wanted)
    }),
  )
  return served.flat().map((resource) => {
    const role = fluxKinds.find((kind) => kind.resource === resource.resource)?.role ?? 'source'
    return { ...resource, role }
  })
}

/** Every object of Flux in the cluster. */
export async function readFlux(api: KubernetesApi, kinds: readonly FluxResource[]): Promise<FluxObject[]> {
  const lists = await Promise.all(
    kinds.map(async (kind) => (await api.list(collectionPath(kind))).map((object) => fluxObject(kind, object))),
  )
  return lists.flat()
}

/** The objects that a backup holds, as they were when it was taken. */
export async function fluxObjectsFrom(
  kinds: readonly FluxResource[],
  inBackup: (group: string, resource: string) => Promise<KubernetesObject[]>,
): Promise<FluxObject[]> {
  const lists = await Promise.all(
    kinds.map(async (kind) => (await inBackup(kind.group, kind.resource)).map((object) => fluxObject(kind, object))),
  )
  return lists.flat()
}

/** The order of suspension: appliers, parents before their children; then releases; then sources. */
export function suspensionOrder(objects: readonly FluxObject[]): FluxObject[][] {
  const ofRole = (role: FluxRole) => objects.filter((object) => object.role === role)
  return [...generations(ofRole('applier')), ofRole('release'), ofRole('source')].filter((group) => group.length > 0)
}

/** One object of Flux as the API gives it. */
export function fluxObject(kind: FluxResource, object: KubernetesObject): FluxObject {
  const { name, namespace = '', generation, labels, annotations } = object.metadata
  const spec = (object.spec ?? {}) as { suspend?: boolean }
  const status = (object.status ?? {}) as {
    conditions?: Condition[]
    observedGeneration?: number
  }
  const condition = (type: string) => status.conditions?.find((each) => each.type === type)
  const ready = condition('Ready')
  return {
    key: keyOf(kind.kind, namespace, name),
    parents: parentsOf(kind, labels ?? {}),
    kind: kind.kind,
    namespace,
    name,
    path: `${collectionPath(kind, namespace)}/${name}`,
    role: kind.role,
    suspended: spec.suspend === true,
    suspendField: spec.suspend ?? null,
    ready: readiness(ready),
    message: ready?.message ?? ready?.reason ?? 'it has no Ready condition yet',
    applying: isApplying(condition('Reconciling')),
    observed: status.observedGeneration === undefined || status.observedGeneration === generation,
    requestedAt: annotations?.[requestAnnotation] ?? null,
  }
}

function keyOf(kind: string, namespace: string, name: string): string {
  return `${kind} ${namespace}/${name}`
}

/** kustomize-controller labels what it applies with the Kustomization that it came from. */
function parentsOf(kind: FluxResource, labels: Record<string, string>): string[] {
  const name = labels['kustomize.toolkit.fluxcd.io/name']
  const namespace = labels['kustomize.toolkit.fluxcd.io/namespace']
  return kind.role === 'applier' && name && namespace ? [keyOf(kind.kind, namespace, name)] : []
}

function readiness(ready: Condition | undefined): FluxObject['ready'] {
  if (!ready) return 'Absent'
  return ready.status === 'True' || ready.status === 'False' ? ready.status : 'Unknown'
}

function isApplying(reconciling: Condition | undefined): boolean {
  return reconciling?.status === 'True' && !/health/i.test(reconciling.message ?? '')
}
