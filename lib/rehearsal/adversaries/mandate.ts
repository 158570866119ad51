import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { Owner } from '../homelab/ownership.ts'
import { nameOf } from '../homelab/resources.ts'

/** How a live object is looked up; undefined when the cluster does not have it. */
export type Lookup = (name: string) => KubernetesObject | undefined

interface OwnerSpec {
  suspend?: boolean
  paused?: boolean
  driftDetection?: { mode?: string }
  /** of an Application */
  syncPolicy?: {
    automated?: { enabled?: boolean; selfHeal?: boolean } | null
    applicationsSync?: string
  }
  ignoreApplicationDifferences?: { name?: string; jsonPointers?: string[]; jqPathExpressions?: string[] }[]
}

/** The workload that is the controller of each kind. At 0 replicas, nobody acts. */
const controllers: Record<Owner['kind'], string> = {
  Kustomization: 'Deployment flux-system/kustomize-controller',
  HelmRelease: 'Deployment flux-system/helm-controller',
  Application: 'StatefulSet argocd/argocd-application-controller',
  ApplicationSet: 'Deployment argocd/argocd-applicationset-controller',
  Prometheus: 'Deployment monitoring/kube-prometheus-stack-operator',
  Alertmanager: 'Deployment monitoring/kube-prometheus-stack-operator',
  ExternalSecret: 'Deployment external-secrets/external-secrets',
}

/** Whether the controller of this kind runs at all. */
export function isRunning(kind: Owner['kind'], lookup: Lookup): boolean {
  const spec = lookup(controllers[kind])?.spec as { replicas?: number } | undefined
  return spec !== undefined && spec.replicas !== 0
}

/** Whether this owner, as it is in the cluster now, would put back what drifts. */
export function hasMandate(owner: Owner, lookup: Lookup): boolean {
  const live = lookup(nameOf({ kind: owner.kind, metadata: owner }))
  if (!live || live.metadata.deletionTimestamp !== undefined || !isRunning(owner.kind, lookup)) return false
  const spec = (live.spec ?? {}) as OwnerSpec
  switch (owner.kind) {
    case 'Kustomization':
      return spec.suspend !== true
    case 'HelmRelease':
      return spec.suspend !== true && (spec.driftDetection?.mode === 'enabled' || !hasActed(live))
    case 'Application':
      return isAutomated(live) && (spec.syncPolicy?.automated?.selfHeal === true || !hasActed(live))
    case 'ApplicationSet':
      return !['create-only', 'create-delete'].includes(spec.syncPolicy?.applicationsSync ?? 'sync')
    case 'Prometheus':
    case 'Alertmanager':
      return spec.paused !== true
    case 'ExternalSecret':
      return credentials.every((name) => lookup(name) !== undefined)
  }
}

/** What External Secrets needs in order to fetch anything: the store, and the token that opens it. */
const credentials = ['ClusterSecretStore onepassword', 'Secret external-secrets/onepassword-connect']

/**
 * Whether the owner has installed, or synced, what it holds: whatever it does about drift, that it does once.
 * Source: https://fluxcd.io/flux/components/helm/helmreleases/#configuring-install-remediation, and for Argo CD
 * https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automated-sync-semantics
 */
export function hasActed({ status }: KubernetesObject): boolean {
  const { conditions = [], sync } = (status ?? {}) as {
    conditions?: { type: string; status: string }[]
    sync?: unknown
  }
  return sync !== undefined || conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}

/** Source: https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/ and …/skip_reconcile/ */
export function isAutomated(application: KubernetesObject): boolean {
  if (application.metadata.annotations?.['argocd.argoproj.io/skip-reconcile'] === 'true') return false
  const automated = (application.spec as OwnerSpec).syncPolicy?.automated
  return automated !== undefined && automated !== null && automated.enabled !== false
}

/**
 * Whether the ApplicationSet leaves the sync policy of this Application to others.
 * Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
 */
export function leavesSyncPolicy(applicationSet: KubernetesObject | undefined, application: string): boolean {
  const { ignoreApplicationDifferences = [] } = (applicationSet?.spec ?? {}) as OwnerSpec
  return ignoreApplicationDifferences
    .filter(({ name }) => name === undefined || name === '' || name === application)
    .some(
      ({ jsonPointers = [], jqPathExpressions = [] }) =>
        jsonPointers.some((pointer) => pointer.startsWith('/spec/syncPolicy')) ||
        jqPathExpressions.some((path) => path.startsWith('.spec.syncPolicy')),
    )
}
