import { createHash } from 'node:crypto'
import type { KubernetesObject } from '../../kubernetes/api.ts'
import { type Owner, ownerOf } from './ownership.ts'

type Status = Record<string, unknown>

/** What a status says besides the object itself: when it is written, and what the object owns. */
export interface Observed {
  now: Date
  /** all objects that may be owned by the one whose status is asked for */
  objects: readonly KubernetesObject[]
}

/** The commit that all sources of the practice cluster stand at. */
export const commit = createHash('sha1').update('a cluster worth moving').digest('hex')
export const revision = `main@sha1:${commit}`

/** The status that a custom resource's controller writes once all is well; undefined for kinds without one. */
export function healthyStatus(object: KubernetesObject, observed: Observed): Status | undefined {
  const write = writers[object.kind ?? '']
  return write?.(object, observed)
}

type Writer = (object: KubernetesObject, observed: Observed) => Status | undefined

const writers: Record<string, Writer> = {
  // What MetalLB gives out: the first address of its pool (infrastructure/networking/metallb).
  Service: ({ spec }) =>
    (spec as { type?: string }).type === 'LoadBalancer'
      ? { loadBalancer: { ingress: [{ ip: '192.0.2.240', ipMode: 'VIP' }] } }
      : undefined,
  GitRepository: (object, { now }) => ({
    ...ready(object, now, 'Succeeded', `stored artifact for revision '${revision}'`),
    artifact: artifact(object, revision, now),
  }),
  HelmRepository: (object, { now }) => ({
    ...ready(object, now, 'Succeeded', 'stored artifact of the repository index'),
    artifact: artifact(object, `sha256:${digest(object.metadata.name)}`, now),
  }),
  Kustomization: (object, observed) => ({
    ...ready(object, observed.now, 'ReconciliationSucceeded', `Applied revision: ${revision}`),
    lastAppliedRevision: revision,
    lastAttemptedRevision: revision,
    inventory: { entries: ownedBy(object, observed.objects).map(inventoryEntry) },
  }),
  HelmRelease: (object, { now }) => ({
    ...ready(object, now, 'InstallSucceeded', `Helm install succeeded for release ${nameOfRelease(object)}`),
    lastAttemptedRevision: versionOfChart(object),
    storageNamespace: object.metadata.namespace,
  }),
  Application: (object, observed) => applicationStatus(object, observed, { sync: 'Synced', health: 'Healthy' }),
  ApplicationSet: (_, { now }) => ({
    conditions: [
      condition('ResourcesUpToDate', 'True', 'ApplicationSetUpToDate', 'All applications are generated', now),
    ],
  }),
  ExternalSecret: (object, { now }) => ({
    refreshTime: seconds(now),
    syncedResourceVersion: `${object.metadata.generation ?? 1}-${digest(object.metadata.name).slice(0, 32)}`,
    binding: { name: object.metadata.name },
    conditions: [condition('Ready', 'True', 'SecretSynced', 'secret synced', now)],
  }),
  ClusterSecretStore: (_, { now }) => ({
    capabilities: 'ReadOnly',
    conditions: [condition('Ready', 'True', 'Valid', 'store validated', now)],
  }),
  Certificate: (_, { now }) => ({
    conditions: [condition('Ready', 'True', 'Ready', 'Certificate is up to date', now)],
  }),
  ClusterIssuer: (_, { now }) => ({ conditions: [condition('Ready', 'True', 'KeyPairVerified', 'CA verified', now)] }),
  Prometheus: (object, { now }) => operated(object, now),
  Alertmanager: (object, { now }) => operated(object, now),
  ForeignCluster: (_, { now }) => ({
    role: 'Provider',
    apiServerUrl: 'https://10.42.0.1:6443',
    conditions: [liqoCondition('APIServerStatus', now)],
    modules: {
      networking: { enabled: true, conditions: [liqoCondition('NetworkConnectionStatus', now)] },
      authentication: { enabled: true, conditions: [liqoCondition('AuthIdentityControlPlaneStatus', now)] },
      offloading: { enabled: true, conditions: [liqoCondition('OffloadingVirtualNodeStatus', now)] },
    },
  }),
  VirtualNode: () => ({ conditions: [{ type: 'VirtualKubelet', status: 'Running' }] }),
}

/** @param state what Argo CD found: Synced or OutOfSync, Healthy or Progressing or Degraded */
export function applicationStatus(
  object: KubernetesObject,
  observed: Observed,
  state: { sync: 'Synced' | 'OutOfSync'; health: 'Healthy' | 'Progressing' | 'Degraded' },
): Status {
  const at = seconds(observed.now)
  return {
    sync: { status: state.sync, revision: commit },
    health: { status: state.health, lastTransitionTime: at },
    reconciledAt: at,
    operationState: {
      phase: 'Succeeded',
      message: 'successfully synced (all tasks run)',
      startedAt: at,
      finishedAt: at,
      operation: { sync: { revision: commit } },
      syncResult: { revision: commit },
    },
    resources: ownedBy(object, observed.objects).map((owned) => ({
      group: groupOf(owned),
      version: owned.apiVersion?.split('/').at(-1),
      kind: owned.kind,
      ...(owned.metadata.namespace === undefined ? {} : { namespace: owned.metadata.namespace }),
      name: owned.metadata.name,
      status: state.sync,
    })),
  }
}

/** A condition as https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition has it. */
export function condition(
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  message: string,
  at: Date,
) {
  return { type, status, reason, message, lastTransitionTime: seconds(at) }
}

/** RFC 3339 without fractions, as the API writes times. */
export function seconds(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`
}

function ready(object: KubernetesObject, now: Date, reason: string, message: string): Status {
  const generation = object.metadata.generation ?? 1
  return {
    observedGeneration: generation,
    conditions: [{ ...condition('Ready', 'True', reason, message, now), observedGeneration: generation }],
  }
}

function operated(object: KubernetesObject, now: Date): Status {
  const { replicas = 1, paused = false } = object.spec as { replicas?: number; paused?: boolean }
  return {
    paused,
    replicas,
    updatedReplicas: replicas,
    availableReplicas: replicas,
    unavailableReplicas: 0,
    conditions: ['Available', 'Reconciled'].map((type) => ({
      ...condition(type, 'True', 'AsExpected', '', now),
      observedGeneration: object.metadata.generation ?? 1,
    })),
  }
}

function liqoCondition(type: string, now: Date): Status {
  return { type, status: 'Established', reason: `${type}Established`, lastTransitionTime: seconds(now) }
}

function artifact(object: KubernetesObject, artifactRevision: string, now: Date): Status {
  const { namespace, name } = object.metadata
  const path = `${object.kind?.toLowerCase()}/${namespace}/${name}/${commit}.tar.gz`
  return {
    path,
    url: `http://source-controller.flux-system.svc.cluster.local./${path}`,
    revision: artifactRevision,
    digest: `sha256:${digest(path)}`,
    lastUpdateTime: seconds(now),
  }
}

function nameOfRelease(object: KubernetesObject): string {
  return `${object.metadata.namespace}/${object.metadata.name}.v1 with chart ${object.metadata.name}@${versionOfChart(object)}`
}

function versionOfChart(object: KubernetesObject): string {
  return (object.spec as { chart: { spec: { version: string } } }).chart.spec.version
}

/** What carries this object's marks. */
export function ownedBy(owner: Pick<KubernetesObject, 'kind' | 'metadata'>, objects: readonly KubernetesObject[]) {
  return objects.filter((object) => isOwner(owner, ownerOf(object)))
}

function isOwner(object: Pick<KubernetesObject, 'kind' | 'metadata'>, owner: Owner | undefined): boolean {
  return (
    owner !== undefined &&
    owner.kind === object.kind &&
    owner.name === object.metadata.name &&
    owner.namespace === object.metadata.namespace
  )
}

function inventoryEntry(object: KubernetesObject): { id: string; v: string } {
  const { namespace = '', name } = object.metadata
  const id = `${namespace}_${name.replaceAll(':', '__')}_${groupOf(object)}_${object.kind}`
  return { id, v: object.apiVersion?.split('/').at(-1) ?? '' }
}

function groupOf(object: KubernetesObject): string {
  const parts = (object.apiVersion ?? '').split('/')
  return parts.length > 1 ? (parts[0] ?? '') : ''
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
