import type { KubernetesObject } from '../../kubernetes/api.ts'

const namespaces = new Set(['argocd', 'auth', 'databases', 'default', 'flux-system', 'kube-system', 'registry'])
const groups = ['argoproj.io', 'external-secrets.io', 'fluxcd.io', 'k8s.io']
/** Of the kinds that GitOps keeps, those that keep something in the namespaces above. */
const kept: Record<string, readonly string[]> = {
  Kustomization: ['flux-system', 'core', 'storage', 'networking', 'secrets', 'databases', 'registry', 'argocd'],
  HelmRepository: ['argo', 'metrics-server'],
  Application: ['root', 'auth'],
  ApplicationSet: [],
  Namespace: [...namespaces],
}

/**
 * Whether an object belongs to the homelab's core: both kinds of GitOps, databases on local volumes, Secrets, what is suspended and stays
 * so. It takes a fraction of the time of the whole, where many migrations are made one after the other.
 */
export function isInCore({ apiVersion, kind = '', metadata, spec }: KubernetesObject): boolean {
  const [group = ''] = (apiVersion ?? '').split('/')
  if (group.includes('.') && !groups.some((known) => group.endsWith(known))) return false
  if (kind === 'CustomResourceDefinition') return groups.some((known) => metadata.name.endsWith(known))
  const { claimRef } = (spec ?? {}) as { claimRef?: { namespace: string } }
  const namespace = metadata.namespace ?? claimRef?.namespace
  if (namespace !== undefined && !namespaces.has(namespace)) return false
  return kept[kind]?.includes(metadata.name) ?? true
}
