import type { ClusterObject } from '../../lib/gitops/holders.ts'
import { type Loss, planRebuild, type Rebuild } from '../../lib/gitops/rebuild.ts'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import { leftToCluster } from '../../lib/recovery/objects.ts'

type Metadata = Partial<KubernetesObject['metadata']>

const plurals: Record<string, [resource: string, apiVersion: string]> = {
  Namespace: ['namespaces', 'v1'],
  Node: ['nodes', 'v1'],
  Secret: ['secrets', 'v1'],
  ConfigMap: ['configmaps', 'v1'],
  Service: ['services', 'v1'],
  ServiceAccount: ['serviceaccounts', 'v1'],
  PersistentVolume: ['persistentvolumes', 'v1'],
  PersistentVolumeClaim: ['persistentvolumeclaims', 'v1'],
  Pod: ['pods', 'v1'],
  Deployment: ['deployments.apps', 'apps/v1'],
  StatefulSet: ['statefulsets.apps', 'apps/v1'],
  ReplicaSet: ['replicasets.apps', 'apps/v1'],
  Job: ['jobs.batch', 'batch/v1'],
  CronJob: ['cronjobs.batch', 'batch/v1'],
  Lease: ['leases.coordination.k8s.io', 'coordination.k8s.io/v1'],
  Event: ['events', 'v1'],
  EndpointSlice: ['endpointslices.discovery.k8s.io', 'discovery.k8s.io/v1'],
  PriorityClass: ['priorityclasses.scheduling.k8s.io', 'scheduling.k8s.io/v1'],
  ClusterRole: ['clusterroles.rbac.authorization.k8s.io', 'rbac.authorization.k8s.io/v1'],
  ClusterRoleBinding: ['clusterrolebindings.rbac.authorization.k8s.io', 'rbac.authorization.k8s.io/v1'],
  CustomResourceDefinition: ['customresourcedefinitions.apiextensions.k8s.io', 'apiextensions.k8s.io/v1'],
  MutatingWebhookConfiguration: [
    'mutatingwebhookconfigurations.admissionregistration.k8s.io',
    'admissionregistration.k8s.io/v1',
  ],
  Kustomization: ['kustomizations.kustomize.toolkit.fluxcd.io', 'kustomize.toolkit.fluxcd.io/v1'],
  HelmRelease: ['helmreleases.helm.toolkit.fluxcd.io', 'helm.toolkit.fluxcd.io/v2'],
  GitRepository: ['gitrepositories.source.toolkit.fluxcd.io', 'source.toolkit.fluxcd.io/v1'],
  Application: ['applications.argoproj.io', 'argoproj.io/v1alpha1'],
  ExternalSecret: ['externalsecrets.external-secrets.io', 'external-secrets.io/v1'],
  ClusterSecretStore: ['clustersecretstores.external-secrets.io', 'external-secrets.io/v1'],
  ClusterIssuer: ['clusterissuers.cert-manager.io', 'cert-manager.io/v1'],
  Cluster: ['clusters.postgresql.cnpg.io', 'postgresql.cnpg.io/v1'],
  Prometheus: ['prometheuses.monitoring.coreos.com', 'monitoring.coreos.com/v1'],
}

/** An object by its kind and `namespace/name`; its UID is both. */
export function object(
  kind: string,
  name: string,
  { metadata = {}, ...rest }: { metadata?: Metadata; [field: string]: unknown } = {},
): ClusterObject {
  const [resource, apiVersion] = plurals[kind] ?? [`${kind.toLowerCase()}s`, 'v1']
  const [namespace, inner] = name.includes('/') ? name.split('/') : [undefined, name]
  const own = { name: inner ?? '', uid: `${kind} ${name}`, ...(namespace === undefined ? {} : { namespace }) }
  return { resource, object: { apiVersion, kind, metadata: { ...own, ...metadata }, spec: {}, ...rest } }
}

/** The labels of what a Kustomization has applied. */
export function applied(by: string): { labels: Record<string, string> } {
  const [namespace = '', name = ''] = by.split('/')
  return {
    labels: { 'kustomize.toolkit.fluxcd.io/name': name, 'kustomize.toolkit.fluxcd.io/namespace': namespace },
  }
}

/** The labels of what a HelmRelease has installed. */
export function installed(by: string): { labels: Record<string, string> } {
  const [namespace = '', name = ''] = by.split('/')
  return { labels: { 'helm.toolkit.fluxcd.io/name': name, 'helm.toolkit.fluxcd.io/namespace': namespace } }
}

/** An ownerReference to an object that was made by object(). */
export function ownedBy({ object: owner }: ClusterObject): {
  ownerReferences: NonNullable<KubernetesObject['metadata']['ownerReferences']>
} {
  const { apiVersion = '', kind = '', metadata } = owner
  return { ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }] }
}

export function rebuildOf(...objects: ClusterObject[]): Promise<Rebuild> {
  const source = {
    origin: 'a test',
    objects: async function* () {
      yield* objects
    },
  }
  return planRebuild(source, leftToCluster)
}

/** What is restored, by name. */
export async function restoredOf(...objects: ClusterObject[]): Promise<string[]> {
  return (await rebuildOf(...objects)).restored.map(({ called }) => called)
}

/** Why the one object that is restored is. */
export async function whyOf(name: string, ...objects: ClusterObject[]): Promise<string | undefined> {
  return (await rebuildOf(...objects)).restored.find(({ called }) => called === name)?.why
}

export async function lossesOf(...objects: ClusterObject[]): Promise<Pick<Loss, 'called' | 'what'>[]> {
  return (await rebuildOf(...objects)).losses.map(({ called, what }) => ({ called, what }))
}
