import type { KubernetesObject } from '../kubernetes/api.ts'
import { type ClusterObject, groupOf } from './holders.ts'

interface Reference {
  name: string
  namespace?: string
}

/** What a Secret is for, by the objects that name it: an operator recognises a deploy key sooner than a name. */
export class SecretUses {
  readonly #uses = new Map<string, string>()

  /** Takes note of one object of the cluster; all of them come before the first question. */
  note({ object }: ClusterObject): void {
    const group = groupOf(object.apiVersion)
    const called = `${object.kind} ${object.metadata.namespace === undefined ? '' : `${object.metadata.namespace}/`}${object.metadata.name}`
    if (group === 'source.toolkit.fluxcd.io') this.#add(object, at(object, 'secretRef'), `${called} fetches with it`)
    if (group === 'kustomize.toolkit.fluxcd.io') {
      this.#add(object, at(object, 'decryption', 'secretRef'), `${called} decrypts what is in Git with it`)
    }
    if (group === 'external-secrets.io' && (object.kind ?? '').endsWith('SecretStore')) {
      for (const reference of secretReferencesIn(object.spec)) this.#add(object, reference, `${called} gets in with it`)
    }
    if (group === 'cert-manager.io' && (object.kind ?? '').endsWith('Issuer')) this.#noteIssuer(object, called)
  }

  /** In a sentence's half, such as `GitRepository flux-system/flux-system fetches with it`. */
  of(namespace: string, name: string): string | undefined {
    return this.#uses.get(`${namespace}/${name}`) ?? this.#uses.get(`/${name}`)
  }

  #noteIssuer(object: KubernetesObject, called: string): void {
    const ca = at(object, 'ca') as { secretName?: string } | undefined
    if (ca?.secretName !== undefined) this.#add(object, { name: ca.secretName }, `${called} signs with it`)
    this.#add(object, at(object, 'acme', 'privateKeySecretRef'), `${called} is known to its issuer by it`)
  }

  // A cluster-wide object's Secret lies in a namespace that only its controller knows: any of that name is meant.
  #add({ metadata }: KubernetesObject, reference: unknown, use: string): void {
    const { name, namespace = metadata.namespace ?? '' } = (reference ?? {}) as Partial<Reference>
    if (name !== undefined) this.#uses.set(`${namespace}/${name}`, use)
  }
}

function at({ spec }: KubernetesObject, ...path: string[]): unknown {
  return path.reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], spec)
}

/** Whatever is called …SecretRef, however deep: each provider of External Secrets has names of its own. */
function secretReferencesIn(value: unknown): Reference[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([field, inner]) =>
    /secretref$/i.test(field) && typeof (inner as Partial<Reference> | null)?.name === 'string'
      ? [inner as Reference]
      : secretReferencesIn(inner),
  )
}
