import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { ResourceEntry } from '../manifest.ts'
import { resourceName } from './source.ts'

/**
 * What is never put back, because the cluster makes it by itself, and makes it for what is there now. The one list of it:
 * `neverRestored` (whole resources), `leftToCluster` (single objects) and `madeByControllers` (what follows from its owner).
 *
 * Compared with Velero, which leaves out nodes, events, csinodes and volumeattachments, mirror pods, and completed pods and jobs,
 * and restores Pods and ReplicaSets to be adopted: here they are left to the controllers that own them. A rollout's history
 * (ReplicaSets, ControllerRevisions) is not restored for that reason.
 */
export const neverRestored: ReadonlySet<string> = new Set([
  // A log, kept for an hour.
  'events',
  'events.events.k8s.io',
  // Heartbeats and leader elections.
  'leases.coordination.k8s.io',
  'leasecandidates.coordination.k8s.io',
  // Machines that run announce themselves.
  'nodes',
  'csinodes.storage.k8s.io',
  'csistoragecapacities.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
  'resourceslices.resource.k8s.io',
  'componentstatuses',
  // The API server's own books.
  'ipaddresses.networking.k8s.io',
  'storageversions.internal.apiserver.k8s.io',
  'storageversionmigrations.storagemigration.k8s.io',
  // Requests, answered long ago.
  'certificatesigningrequests.certificates.k8s.io',
  'podcertificaterequests.certificates.k8s.io',
  // Of a StatefulSet or DaemonSet, which makes its first one anew.
  'controllerrevisions.apps',
  // cert-manager: what it asks an issuer; it would ask, and be counted, again. https://cert-manager.io/docs/devops-tips/backup/
  'certificaterequests.cert-manager.io',
  'orders.acme.cert-manager.io',
  'challenges.acme.cert-manager.io',
  // Cilium's picture of the pods and machines that run.
  'ciliumendpoints.cilium.io',
  'ciliumendpointslices.cilium.io',
  'ciliumidentities.cilium.io',
  'ciliumnodes.cilium.io',
])

/** Measurements, which nobody writes. */
const measured = /(^|\.)metrics\.k8s\.io$/

export function isNeverRestored(entry: ResourceEntry): boolean {
  return neverRestored.has(resourceName(entry)) || measured.test(entry.group)
}

type Rule = (object: KubernetesObject) => boolean

const label = (name: string, value?: string) => (object: KubernetesObject) => {
  const found = object.metadata.labels?.[name]
  return found !== undefined && (value === undefined || found === value)
}
const annotation = (name: string) => (object: KubernetesObject) => object.metadata.annotations?.[name] !== undefined
const named =
  (...names: string[]) =>
  ({ metadata: { namespace, name } }: KubernetesObject) =>
    names.includes(`${namespace ?? ''}/${name}`)
const type = (value: string) => (object: KubernetesObject) => object.type === value
const phase =
  (...values: string[]) =>
  ({ status }: KubernetesObject) =>
    values.includes(String((status as { phase?: string } | undefined)?.phase))

const elected = annotation('control-plane.alpha.kubernetes.io/leader')
const bootstrapped = label('kubernetes.io/bootstrapping')
const bootstrapRole = 'the API server makes its own roles anew'
const selfKept = 'the API server keeps it'

/** By resource: when an object is left to the cluster, and why. */
const rules: Record<string, readonly [Rule, string][]> = {
  pods: [
    [annotation('kubernetes.io/config.mirror'), 'a static pod of its machine'],
    [phase('Succeeded', 'Failed'), 'it had ended; it would run again'],
  ],
  'jobs.batch': [[hasEnded, 'it had ended; it would run again']],
  configmaps: [
    [({ metadata }) => metadata.name === 'kube-root-ca.crt', "the cluster's own CA"],
    [named('kube-system/extension-apiserver-authentication'), selfKept],
    [named('kube-system/kube-apiserver-legacy-service-account-token-tracking'), selfKept],
    [elected, 'a lock of a leader election'],
  ],
  secrets: [[type('bootstrap.kubernetes.io/token'), 'a token by which machines joined the old cluster']],
  services: [[named('default/kubernetes'), selfKept]],
  endpoints: [
    [named('default/kubernetes'), selfKept],
    [label('endpoints.kubernetes.io/managed-by'), 'it follows its Service'],
    [annotation('endpoints.kubernetes.io/last-change-trigger-time'), 'it follows its Service'],
    [elected, 'a lock of a leader election'],
  ],
  'endpointslices.discovery.k8s.io': [
    [named('default/kubernetes'), selfKept],
    [label('endpointslice.kubernetes.io/managed-by', 'endpointslice-controller.k8s.io'), 'it follows its Service'],
    [
      label('endpointslice.kubernetes.io/managed-by', 'endpointslicemirroring-controller.k8s.io'),
      'it follows its Endpoints',
    ],
  ],
  'clusterroles.rbac.authorization.k8s.io': [[bootstrapped, bootstrapRole]],
  'clusterrolebindings.rbac.authorization.k8s.io': [[bootstrapped, bootstrapRole]],
  'roles.rbac.authorization.k8s.io': [[bootstrapped, bootstrapRole]],
  'rolebindings.rbac.authorization.k8s.io': [[bootstrapped, bootstrapRole]],
  'apiservices.apiregistration.k8s.io': [[label('kube-aggregator.kubernetes.io/automanaged'), selfKept]],
  'flowschemas.flowcontrol.apiserver.k8s.io': [[annotation('apf.kubernetes.io/autoupdate-spec'), selfKept]],
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io': [
    [annotation('apf.kubernetes.io/autoupdate-spec'), selfKept],
  ],
  'servicecidrs.networking.k8s.io': [[named('/kubernetes'), selfKept]],
  'priorityclasses.scheduling.k8s.io': [[({ metadata }) => metadata.name.startsWith('system-'), selfKept]],
}

/** By resource: the kinds of controllers that make such an object anew when it is not there. '*' is any. */
const madeByControllers: Record<string, readonly string[]> = {
  pods: ['*'],
  'replicasets.apps': ['Deployment'],
  'jobs.batch': ['CronJob'],
  persistentvolumeclaims: ['Pod'],
  'endpointslices.discovery.k8s.io': ['Service', 'Endpoints'],
}

/** @returns why the object is left to the cluster; undefined when it is to be put back */
export function leftToCluster(entry: ResourceEntry, object: KubernetesObject): string | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return 'it was being deleted'
  return rules[resourceName(entry)]?.find(([applies]) => applies(object))?.[1]
}

/** Whether the object's controller makes it anew. Whether that controller is there is for the caller to find out. */
export function isMadeByController(entry: ResourceEntry, controllerKind: string): boolean {
  const kinds = madeByControllers[resourceName(entry)] ?? []
  return kinds.includes('*') || kinds.includes(controllerKind)
}

function hasEnded({ status }: KubernetesObject): boolean {
  const conditions = (status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []
  return conditions.some(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True')
}
