import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { isScaled } from '../homelab/readiness.ts'
import type { ResourceTypes } from '../homelab/resources.ts'
import { applicationStatus, condition, healthyStatus, ownedBy } from '../homelab/statuses.ts'
import { hasActed, isAutomated, isRunning, type Lookup } from './mandate.ts'

/** What a controller knows when it writes a status. */
export interface Situation {
  now: Date
  lookup: Lookup
  types: ResourceTypes
  /** all objects that come from Git */
  wanted: readonly KubernetesObject[]
  nameOf: (object: KubernetesObject) => string
  driftOf: (object: KubernetesObject) => string | undefined
}

type FluxStatus = {
  observedGeneration?: number
  lastHandledReconcileAt?: string
  conditions?: { type: string; status: string; reason?: string }[]
}

const requestedAt = 'reconcile.fluxcd.io/requestedAt'
const refresh = 'argocd.argoproj.io/refresh'

/** A write that one of the controllers owes to the API server. */
export interface Report {
  what: string
  send: (api: KubernetesApi) => Promise<KubernetesObject>
}

/**
 * The status that Flux owes to an object of its own: after a change of the object, after a request to reconcile, and as long
 * as it is not ready. Undefined when nothing is owed, or the object is suspended.
 * Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile and #kustomization-status
 */
export function fluxReport(live: KubernetesObject, situation: Situation): Report | undefined {
  const { suspend = false, wait = false } = live.spec as { suspend?: boolean; wait?: boolean }
  const controller = live.kind === 'HelmRelease' ? 'HelmRelease' : 'Kustomization'
  if (suspend || live.metadata.deletionTimestamp !== undefined || !isRunning(controller, situation.lookup)) return
  const status = (live.status ?? {}) as FluxStatus
  const request = live.metadata.annotations?.[requestedAt]
  const ready = status.conditions?.find(({ type }) => type === 'Ready')
  const isHandled = request === status.lastHandledReconcileAt && status.observedGeneration === live.metadata.generation
  if (isHandled && ready?.status === 'True') return
  const handled = request === undefined ? {} : { lastHandledReconcileAt: request }
  const missing = [...notThere(live, situation), ...(wait ? notReady(live, situation) : [])]
  if (missing.length > 0) {
    if (ready?.status === 'Unknown' && status.lastHandledReconcileAt === request) return
    return statusReport(live, { ...handled, conditions: waitingFor(missing, situation.now) }, situation)
  }
  const healthy = healthyStatus(live, { now: situation.now, objects: situation.wanted })
  return statusReport(live, { ...handled, ...healthy }, situation)
}

function waitingFor(missing: KubernetesObject[], now: Date) {
  const names = missing.map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`).join(', ')
  const text = `Running health checks: ${names}`
  return [
    condition('Ready', 'Unknown', 'Progressing', text, now),
    condition('Reconciling', 'True', 'Progressing', text, now),
  ]
}

/** What an owner holds and the cluster does not have yet: it is not done before. */
function notThere(owner: KubernetesObject, { wanted, lookup, nameOf }: Situation): KubernetesObject[] {
  return ownedBy(owner, wanted).filter((object) => !lookup(nameOf(object)))
}

/** What a Kustomization with `wait` waits for: a suspended child never gets observed, so it waits for ever. */
function notReady(owner: KubernetesObject, { wanted, lookup, nameOf }: Situation): KubernetesObject[] {
  return ownedBy(owner, wanted).filter((object) => {
    const live = lookup(nameOf(object))
    if (!live) return object.kind === 'HelmRelease'
    if (object.kind === 'Deployment' || object.kind === 'StatefulSet') return !isScaled(live)
    if (object.kind !== 'HelmRelease') return false
    return (live.status as FluxStatus | undefined)?.observedGeneration !== live.metadata.generation
  })
}

function statusReport(live: KubernetesObject, status: unknown, { types }: Situation): Report {
  const { apiVersion, kind, metadata } = live
  const body = { apiVersion, kind, metadata: { name: metadata.name, namespace: metadata.namespace }, status }
  return { what: 'reconciled', send: (api) => api.apply(`${types.path(live)}/status`, body, 'controller') }
}

/**
 * What Argo CD owes to an Application: sync and health as they are now, and an answer to a refresh.
 * Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
 */
export function argoReport(live: KubernetesObject, situation: Situation): Report | undefined {
  if (!isRunning('Application', situation.lookup) || live.metadata.deletionTimestamp !== undefined) return
  if (isAutomated(live) && !hasActed(live) && notThere(live, situation).length > 0) return
  const owned = ownedBy(live, situation.wanted)
  const compared = owned.map((object) => withoutIgnored(object, live))
  const sync = compared.some((object) => situation.driftOf(object) !== undefined) ? 'OutOfSync' : 'Synced'
  const health = owned.every((object) => isHealthy(object, situation)) ? 'Healthy' : 'Progressing'
  const status = (live.status ?? {}) as { sync?: { status?: string }; health?: { status?: string } }
  const isAsked = live.metadata.annotations?.[refresh] !== undefined || live.operation !== undefined
  if (!isAsked && status.sync?.status === sync && status.health?.status === health) return
  const written = applicationStatus(live, { now: situation.now, objects: situation.wanted }, { sync, health })
  const patch = { metadata: { annotations: { [refresh]: null } }, operation: null, status: written }
  return { what: `${sync}, ${health}`, send: (api) => api.mergePatch(situation.types.path(live), patch) }
}

interface Ignored {
  kind?: string
  name?: string
  jsonPointers?: string[]
}

/**
 * What Git says of an object, but for what its Application is told to look past. Of JSON pointers, those to a field of the spec are played.
 * Source: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/#application-level-configuration
 */
function withoutIgnored(object: KubernetesObject, application: KubernetesObject): KubernetesObject {
  const { ignoreDifferences = [] } = application.spec as { ignoreDifferences?: Ignored[] }
  const pointers = ignoreDifferences
    .filter(({ kind, name }) => kind === object.kind && (name ?? object.metadata.name) === object.metadata.name)
    .flatMap(({ jsonPointers = [] }) => jsonPointers)
  const fields = Object.entries((object.spec ?? {}) as object).filter(([field]) => !pointers.includes(`/spec/${field}`))
  return pointers.length === 0 ? object : { ...object, spec: Object.fromEntries(fields) }
}

function isHealthy(object: KubernetesObject, { lookup, nameOf }: Situation): boolean {
  if (object.kind !== 'Deployment' && object.kind !== 'StatefulSet') return true
  const live = lookup(nameOf(object))
  return live !== undefined && isScaled(live)
}

/** Who writes the statuses that nothing but their absence calls for. */
const writersOfStatus: Record<string, string> = {
  ApplicationSet: 'Deployment argocd/argocd-applicationset-controller',
  Certificate: 'Deployment cert-manager/cert-manager',
  ClusterIssuer: 'Deployment cert-manager/cert-manager',
  ClusterSecretStore: 'Deployment external-secrets/external-secrets',
  ExternalSecret: 'Deployment external-secrets/external-secrets',
  Prometheus: 'Deployment monitoring/kube-prometheus-stack-operator',
  Alertmanager: 'Deployment monitoring/kube-prometheus-stack-operator',
  ForeignCluster: 'Deployment liqo/liqo-controller-manager',
  VirtualNode: 'Deployment liqo/liqo-controller-manager',
  Service: 'Deployment metallb-system/metallb-controller',
}

/** The first status of an object that was made anew. An ExternalSecret has one when there is its Secret. */
export function firstReport(live: KubernetesObject, situation: Situation): Report | undefined {
  const writer = writersOfStatus[live.kind ?? '']
  const runs =
    writer !== undefined && (situation.lookup(writer)?.spec as { replicas?: number } | undefined)?.replicas !== 0
  if (!runs || situation.lookup(writer) === undefined || hasStatus(live)) return undefined
  if (live.kind === 'ExternalSecret' && notThere(live, situation).length > 0) return undefined
  const status = healthyStatus(live, { now: situation.now, objects: situation.wanted })
  return status && statusReport(live, status, situation)
}

function hasStatus({ status }: KubernetesObject): boolean {
  const { loadBalancer, ...rest } = (status ?? {}) as { loadBalancer?: object }
  return Object.keys({ ...loadBalancer, ...rest }).length > 0
}
