import type { ResourceEntry } from '../manifest.ts'
import { resourceName } from './source.ts'

/**
 * In which order resources come back: nothing before what it needs in order to work.
 *
 * - Service accounts before Secrets, so that the token of a token Secret can be made.
 * - Quotas after the workloads: one that has not been counted yet refuses everything in its namespace.
 * - Custom resources after what their operators run on. Within them, owners before owned (see owners.ts).
 * - Webhooks and aggregated APIs last: one whose service is not there yet would block everything.
 *
 * Compared with Velero's (https://velero.io/docs/main/restore-reference/): no Pods and ReplicaSets before their controllers, for
 * those are made anew (see generated.ts), and no volumes are provisioned.
 */
const tiers: readonly (readonly string[])[] = [
  ['customresourcedefinitions.apiextensions.k8s.io'],
  ['namespaces'],
  [
    'storageclasses.storage.k8s.io',
    'volumeattributesclasses.storage.k8s.io',
    'csidrivers.storage.k8s.io',
    'priorityclasses.scheduling.k8s.io',
    'runtimeclasses.node.k8s.io',
    'ingressclasses.networking.k8s.io',
    'deviceclasses.resource.k8s.io',
    'flowschemas.flowcontrol.apiserver.k8s.io',
    'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io',
    'servicecidrs.networking.k8s.io',
    'clustertrustbundles.certificates.k8s.io',
  ],
  ['persistentvolumes'],
  ['persistentvolumeclaims'],
  ['serviceaccounts'],
  ['secrets'],
  ['configmaps'],
  [
    'clusterroles.rbac.authorization.k8s.io',
    'roles.rbac.authorization.k8s.io',
    'clusterrolebindings.rbac.authorization.k8s.io',
    'rolebindings.rbac.authorization.k8s.io',
  ],
  ['limitranges'],
  ['networkpolicies.networking.k8s.io', 'poddisruptionbudgets.policy', 'podtemplates'],
  ['services', 'endpoints', 'endpointslices.discovery.k8s.io', 'ingresses.networking.k8s.io'],
  ['resourceclaimtemplates.resource.k8s.io', 'resourceclaims.resource.k8s.io'],
  [
    'daemonsets.apps',
    'statefulsets.apps',
    'deployments.apps',
    'replicasets.apps',
    'replicationcontrollers',
    'cronjobs.batch',
    'jobs.batch',
    'pods',
  ],
  ['horizontalpodautoscalers.autoscaling', 'resourcequotas'],
  // Here come all others: custom resources.
  [
    'apiservices.apiregistration.k8s.io',
    'validatingadmissionpolicies.admissionregistration.k8s.io',
    'validatingadmissionpolicybindings.admissionregistration.k8s.io',
    'mutatingadmissionpolicies.admissionregistration.k8s.io',
    'mutatingadmissionpolicybindings.admissionregistration.k8s.io',
    'mutatingwebhookconfigurations.admissionregistration.k8s.io',
    'validatingwebhookconfigurations.admissionregistration.k8s.io',
  ],
]

const places = new Map(tiers.flatMap((names, tier) => names.map((name, i) => [name, tier + i / 100] as const)))
const lastTier = tiers.length - 1
const customResources = lastTier - 0.5
const workloads = Math.floor(places.get('daemonsets.apps') ?? 0)

function placeOf(entry: ResourceEntry): number {
  return places.get(resourceName(entry)) ?? customResources
}

/** The resources in the order in which they come back. */
export function inOrder(entries: readonly ResourceEntry[]): ResourceEntry[] {
  return entries.toSorted(
    (a, b) => placeOf(a) - placeOf(b) || (resourceName(a) < resourceName(b) ? -1 : Number(a !== b)),
  )
}

/** Whether it is restored when everything else is there. */
export function comesLast(entry: ResourceEntry): boolean {
  return placeOf(entry) >= lastTier
}

export function isCustomResource(entry: ResourceEntry): boolean {
  return placeOf(entry) === customResources
}

/**
 * What others mount or bind, such as claims and Secrets. It does not wait for an owner that comes later: a StatefulSet without its
 * claims would make new ones, on new volumes.
 */
export function isNeededByWorkloads(entry: ResourceEntry): boolean {
  return placeOf(entry) < workloads
}
