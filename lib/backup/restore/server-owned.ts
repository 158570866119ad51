import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { ResourceEntry } from '../manifest.ts'
import { resourceName } from './source.ts'

/** The way to a field, by its keys. */
type Path = readonly string[]

/**
 * The fields that the server, or a controller of the cluster, owns: they are not put back, and make no difference when a backed-up
 * object is compared with the one that is there. The one list of them.
 * Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
 *
 * `status` belongs here where the resource has a status subresource. It is not put back: whoever owns it looks at the world and writes
 * it anew, and an old `observedGeneration` would tell a controller that it has seen what it has not. The exceptions are `statusIsState`.
 * Where there is no such subresource, `status` is a field like any other.
 */
const everywhere: readonly Path[] = [
  ['metadata', 'uid'],
  ['metadata', 'resourceVersion'],
  ['metadata', 'generation'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'deletionTimestamp'],
  ['metadata', 'deletionGracePeriodSeconds'],
  ['metadata', 'selfLink'],
  ['metadata', 'managedFields'],
]

const annotation = (name: string): Path => ['metadata', 'annotations', name]

/** What the volume controller writes when it binds: without it, it binds the two again, by their names. */
const binding = [annotation('pv.kubernetes.io/bind-completed'), annotation('pv.kubernetes.io/bound-by-controller')]
const podTemplate = ['spec', 'template', 'metadata', 'labels']

const byResource: Record<string, readonly Path[]> = {
  persistentvolumes: [...binding, ['spec', 'claimRef', 'uid'], ['spec', 'claimRef', 'resourceVersion']],
  persistentvolumeclaims: [...binding, annotation('volume.kubernetes.io/selected-node')],
  namespaces: [['spec', 'finalizers']],
  pods: [
    ['spec', 'nodeName'],
    ['spec', 'ephemeralContainers'],
    ['spec', 'priority'],
    ['spec', 'preemptionPolicy'],
  ],
  'deployments.apps': [annotation('deployment.kubernetes.io/revision')],
  'replicasets.apps': [
    annotation('deployment.kubernetes.io/revision'),
    annotation('deployment.kubernetes.io/desired-replicas'),
    annotation('deployment.kubernetes.io/max-replicas'),
  ],
  'daemonsets.apps': [annotation('deprecated.daemonset.template.generation')],
  'volumesnapshotcontents.snapshot.storage.k8s.io': [
    ['spec', 'volumeSnapshotRef', 'uid'],
    ['spec', 'volumeSnapshotRef', 'resourceVersion'],
  ],
}

/** By which a Job finds its pods; made anew from its new UID, unless the Job brings its own selector. */
const ofJobs: readonly Path[] = [
  ['spec', 'selector'],
  ['metadata', 'labels', 'controller-uid'],
  ['metadata', 'labels', 'batch.kubernetes.io/controller-uid'],
  [...podTemplate, 'controller-uid'],
  [...podTemplate, 'batch.kubernetes.io/controller-uid'],
]

/** In a Secret that a token controller fills for a service account: the token of the account's old UID, and what comes with it. */
const ofTokenSecrets: readonly Path[] = [
  annotation('kubernetes.io/service-account.uid'),
  ['data', 'token'],
  ['data', 'ca.crt'],
  ['data', 'namespace'],
]

/** Finalizers that the server itself sets, and takes away, in the course of a deletion. */
const deletionFinalizers = ['foregroundDeletion', 'orphan']

/**
 * Resources whose status says what nobody can work out again: where a finished backup lies, what a finished workflow did.
 */
export const statusIsState: ReadonlySet<string> = new Set([
  'backups.postgresql.cnpg.io',
  'perconaservermongodbbackups.psmdb.percona.com',
  'perconapgbackups.pgv2.percona.com',
  'backups.longhorn.io',
  'workflows.argoproj.io',
])

/** A copy of the object without what the server owns. Its ownerReferences are left; see owners.ts. */
export function withoutServerOwned(
  entry: Pick<ResourceEntry, 'group' | 'resource'>,
  object: KubernetesObject,
  { hasStatus }: { hasStatus: boolean },
): KubernetesObject {
  const copy = structuredClone(object)
  const paths = [...everywhere, ...(byResource[resourceName(entry)] ?? []), ...byContent(entry, object)]
  for (const path of hasStatus ? [...paths, ['status']] : paths) remove(copy, path)
  const { finalizers } = copy.metadata
  if (finalizers) copy.metadata.finalizers = finalizers.filter((one) => !deletionFinalizers.includes(one))
  removeEmpty(copy.metadata)
  return copy
}

function byContent(entry: Pick<ResourceEntry, 'group' | 'resource'>, object: KubernetesObject): readonly Path[] {
  const name = resourceName(entry)
  if (name === 'secrets' && object.type === 'kubernetes.io/service-account-token') return ofTokenSecrets
  const spec = object.spec as { manualSelector?: boolean } | undefined
  return name === 'jobs.batch' && spec?.manualSelector !== true ? ofJobs : []
}

function remove(object: object, path: Path): void {
  const [first, ...rest] = path
  if (first === undefined) return
  const fields = object as Record<string, unknown>
  if (rest.length === 0) delete fields[first]
  else if (typeof fields[first] === 'object' && fields[first] !== null) remove(fields[first], rest)
}

/** What is left of labels, annotations and the like when the last of them has been removed. */
function removeEmpty(metadata: KubernetesObject['metadata']): void {
  for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences']) {
    const value = metadata[field]
    if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) delete metadata[field]
  }
}
