import type { KubernetesObject } from '../../kubernetes/api.ts'

/** The object whose controller keeps another one as it is in Git. */
export interface Owner {
  kind:
    | 'Kustomization'
    | 'HelmRelease'
    | 'Application'
    | 'ApplicationSet'
    | 'Prometheus'
    | 'Alertmanager'
    | 'ExternalSecret'
  namespace: string
  name: string
}

const operatorKinds: readonly string[] = ['ApplicationSet', 'Prometheus', 'Alertmanager', 'ExternalSecret']

/**
 * Marks an object as its owner's controller would.
 * Source: https://fluxcd.io/flux/components/kustomize/kustomizations/ and …/helm/helmreleases/ (labels),
 * https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ (annotation+label)
 */
export function own(object: KubernetesObject, owner: Owner): KubernetesObject {
  const { labels = {}, annotations = {} } = object.metadata
  const marks = marksOf(object, owner)
  const metadata = {
    ...object.metadata,
    labels: { ...labels, ...marks.labels },
    annotations: { ...annotations, ...marks.annotations },
  }
  return { ...object, metadata }
}

type Marks = { labels: Record<string, string>; annotations: Record<string, string> }

function marksOf(object: KubernetesObject, { kind, namespace, name }: Owner): Marks {
  if (kind === 'Kustomization') {
    return { labels: marksOfFlux('kustomize', namespace, name), annotations: {} }
  }
  if (kind === 'HelmRelease') {
    return {
      labels: { ...marksOfFlux('helm', namespace, name), 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { 'meta.helm.sh/release-name': name, 'meta.helm.sh/release-namespace': namespace },
    }
  }
  if (kind === 'Application') {
    const [group] = (object.apiVersion ?? '').includes('/') ? (object.apiVersion ?? '').split('/') : ['']
    const target = `${group}/${object.kind}:${object.metadata.namespace ?? ''}/${object.metadata.name}`
    return {
      labels: { 'app.kubernetes.io/instance': name },
      annotations: { 'argocd.argoproj.io/tracking-id': `${name}:${target}` },
    }
  }
  return { labels: {}, annotations: {} }
}

function marksOfFlux(controller: 'kustomize' | 'helm', namespace: string, name: string): Record<string, string> {
  return {
    [`${controller}.toolkit.fluxcd.io/name`]: name,
    [`${controller}.toolkit.fluxcd.io/namespace`]: namespace,
  }
}

/** Who keeps this object as it is; undefined for what nobody does. An operator's ownerReference goes before labels, as it writes last. */
export function ownerOf(object: KubernetesObject): Owner | undefined {
  const { labels = {}, annotations = {}, ownerReferences = [] } = object.metadata
  const operator = ownerReferences.find(({ kind }) => operatorKinds.includes(kind))
  if (operator) {
    return { kind: operator.kind as Owner['kind'], namespace: object.metadata.namespace ?? '', name: operator.name }
  }
  const application = annotations['argocd.argoproj.io/tracking-id']?.split(':')[0]
  if (application !== undefined) return { kind: 'Application', namespace: 'argocd', name: application }
  return fluxOwner('helm', 'HelmRelease', labels) ?? fluxOwner('kustomize', 'Kustomization', labels)
}

function fluxOwner(
  controller: 'kustomize' | 'helm',
  kind: 'Kustomization' | 'HelmRelease',
  labels: Record<string, string>,
): Owner | undefined {
  const name = labels[`${controller}.toolkit.fluxcd.io/name`]
  const namespace = labels[`${controller}.toolkit.fluxcd.io/namespace`]
  return name === undefined || namespace === undefined ? undefined : { kind, namespace, name }
}

/** The field manager that a write of the owner's controller carries. */
export function fieldManagerOf(owner: Owner | undefined): string {
  if (owner?.kind === 'Kustomization') return 'kustomize-controller'
  if (owner?.kind === 'HelmRelease') return 'helm-controller'
  if (owner?.kind === 'Application') return 'argocd-controller'
  if (owner?.kind === 'ApplicationSet') return 'argocd-applicationset-controller'
  if (owner?.kind === 'Prometheus' || owner?.kind === 'Alertmanager') return 'PrometheusOperator'
  if (owner?.kind === 'ExternalSecret') return 'external-secrets'
  return 'kubectl'
}
