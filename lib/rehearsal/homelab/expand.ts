import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { App, AppsFile, Claim, Release } from './apps.ts'
import { type Owner, own } from './ownership.ts'
import { claimAndVolume } from './volumes.ts'
import { claimsOf, labelsOf, workload } from './workloads.ts'

const argocd = 'argocd'
const repository = 'https://github.com/example/talos-homelab.git'

/**
 * All objects that one apps.yaml stands for, each marked with the GitOps object that owns it.
 * @param owner of what is in the file; undefined for what no GitOps controller manages
 * @param folder of the file below the homelab's root, the path of the Applications that an ApplicationSet makes
 * @throws Error when a claim names a storage class that the homelab does not have
 */
export function expand(file: AppsFile, owner: Owner | undefined, folder: string, nodeName: string): KubernetesObject[] {
  const { namespace, applicationSet } = file
  const ownerOfApp = (app: App): Owner | undefined => {
    if (app.release !== undefined) return { kind: 'HelmRelease', namespace, name: app.release }
    return applicationSet === undefined ? owner : { kind: 'Application', namespace: argocd, name: app.name }
  }
  return [
    ...file.releases.map((release) => marked(helmRelease(release, namespace), owner)),
    ...claimObjects(file.claims, namespace, nodeName, owner),
    ...file.apps.flatMap((app) => appObjects(app, namespace, nodeName, ownerOfApp(app))),
    ...(applicationSet === undefined ? [] : file.apps.map((app) => application(app, file, applicationSet, folder))),
  ]
}

function marked(object: KubernetesObject, owner: Owner | undefined): KubernetesObject {
  return owner ? own(object, owner) : object
}

function appObjects(app: App, namespace: string, nodeName: string, owner: Owner | undefined): KubernetesObject[] {
  const metadata = { name: app.name, namespace, labels: labelsOf(app) }
  const main = workload(app, namespace)
  if (app.operator) main.metadata.ownerReferences = [{ ...app.operator, uid: '', controller: true }]
  const owned = [
    ...(app.serviceAccount ? [{ apiVersion: 'v1', kind: 'ServiceAccount', metadata }] : []),
    ...(app.config ? [{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: app.config }] : []),
    ...(app.port === undefined ? [] : [service(app, namespace, app.port)]),
    ...(app.host === undefined ? [] : [ingressRoute(app, namespace, app.host)]),
    ...(app.pdb ? [disruptionBudget(app, namespace)] : []),
    ...(app.metrics ? [serviceMonitor(app, namespace)] : []),
    ...(app.secrets ? [externalSecret(app, namespace, app.secrets)] : []),
  ].map((object) => marked(object, owner))
  return [
    ...owned,
    app.operator ? main : marked(main, owner),
    ...(app.secrets ? [syncedSecret(app, namespace, app.secrets)] : []),
    ...claimObjects(claimsOf(app), namespace, nodeName, app.kind === 'StatefulSet' ? undefined : owner),
  ]
}

function claimObjects(
  claims: Claim[],
  namespace: string,
  nodeName: string,
  owner: Owner | undefined,
): KubernetesObject[] {
  return claims.flatMap((claim) =>
    claimAndVolume(claim, namespace, nodeName).map((object) =>
      object.kind === 'PersistentVolumeClaim' ? marked(object, owner) : object,
    ),
  )
}

function service(app: App, namespace: string, port: number): KubernetesObject {
  const headless = app.kind === 'StatefulSet' ? { clusterIP: 'None' } : {}
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: app.name, namespace, labels: labelsOf(app) },
    spec: {
      ...headless,
      selector: { 'app.kubernetes.io/name': app.name },
      ports: [{ name: 'http', port, targetPort: 'http', protocol: 'TCP' }],
    },
  }
}

function ingressRoute(app: App, namespace: string, host: string): KubernetesObject {
  return {
    apiVersion: 'traefik.io/v1alpha1',
    kind: 'IngressRoute',
    metadata: { name: app.name, namespace, labels: labelsOf(app) },
    spec: {
      entryPoints: ['web'],
      routes: [{ kind: 'Rule', match: `Host(\`${host}\`)`, services: [{ name: app.name, port: 'http' }] }],
    },
  }
}

function disruptionBudget(app: App, namespace: string): KubernetesObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: app.name, namespace, labels: labelsOf(app) },
    spec: { ...app.pdb, selector: { matchLabels: { 'app.kubernetes.io/name': app.name } } },
  }
}

function serviceMonitor(app: App, namespace: string): KubernetesObject {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: { name: app.name, namespace, labels: { ...labelsOf(app), release: 'kube-prometheus-stack' } },
    spec: {
      selector: { matchLabels: { 'app.kubernetes.io/name': app.name } },
      endpoints: [{ port: 'http', interval: '30s' }],
    },
  }
}

function externalSecret(app: App, namespace: string, keys: string[]): KubernetesObject {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: app.name, namespace, labels: labelsOf(app) },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { kind: 'ClusterSecretStore', name: 'onepassword' },
      target: { name: app.name, creationPolicy: 'Owner' },
      data: keys.map((secretKey) => ({ secretKey, remoteRef: { key: app.name, property: secretKey } })),
    },
  }
}

/** What External Secrets has written already; it owns the Secret, so no GitOps controller does. */
function syncedSecret(app: App, namespace: string, keys: string[]): KubernetesObject {
  const owner = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', name: app.name, uid: '' }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: app.name,
      namespace,
      labels: { 'reconcile.external-secrets.io/managed': 'true' },
      ownerReferences: [{ ...owner, controller: true }],
    },
    type: 'Opaque',
    stringData: Object.fromEntries(keys.map((key) => [key, `not-a-secret-${app.name}-${key}`.toLowerCase()])),
  }
}

function helmRelease(release: Release, namespace: string): KubernetesObject {
  const sourceRef = { kind: 'HelmRepository', name: release.repository, namespace: 'flux-system' }
  return {
    apiVersion: 'helm.toolkit.fluxcd.io/v2',
    kind: 'HelmRelease',
    metadata: { name: release.name, namespace },
    spec: {
      interval: '30m',
      chart: { spec: { chart: release.chart, version: release.version, sourceRef } },
      driftDetection: { mode: release.drift },
      ...(release.dependsOn ? { dependsOn: release.dependsOn.map((name) => ({ name })) } : {}),
      ...(release.suspend === undefined ? {} : { suspend: release.suspend }),
      ...(release.values ? { values: release.values } : {}),
    },
  }
}

function application(app: App, file: AppsFile, applicationSet: string, folder: string): KubernetesObject {
  const owner = { apiVersion: 'argoproj.io/v1alpha1', kind: 'ApplicationSet', name: applicationSet, uid: '' }
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: app.name, namespace: argocd, ownerReferences: [{ ...owner, controller: true }] },
    spec: {
      project: 'homelab',
      source: { repoURL: repository, targetRevision: 'main', path: `${folder}/${app.name}` },
      destination: { name: 'in-cluster', namespace: file.namespace },
      syncPolicy: { automated: { prune: true, selfHeal: true }, syncOptions: ['CreateNamespace=false'] },
    },
  }
}
