import type { KubernetesObject } from '../kubernetes/api.ts'
import { controllerOf } from '../kubernetes/kinds.ts'
import { type ClusterObject, groupOf, type Holders } from './holders.ts'

const fluxControllers =
  /^(source|kustomize|helm|notification|image-automation|image-reflector)-controller$|^flux-operator$/
const fluxGroups = /(^|\.)(toolkit\.fluxcd\.io|fluxcd\.controlplane\.io)$/
const argoGroup = 'argoproj.io'

interface Subjects {
  subjects?: { kind: string; namespace?: string }[]
  roleRef?: { name: string }
}
interface Sourced {
  sourceRef?: { kind: string; name: string; namespace?: string }
}
interface Templated {
  template?: { spec?: { containers?: { image?: string }[]; priorityClassName?: string } }
}

/**
 * GitOps itself: what cannot come out of Git before it runs. Flux' namespace (controllers, accounts, settings), its definitions, what
 * its accounts may do, and the roots: what is applied by nothing but itself, with the source that it comes from. Argo CD likewise,
 * unless Flux holds it.
 * Source: https://fluxcd.io/flux/installation/bootstrap/ (what a bootstrap puts into a cluster)
 */
export class Engine {
  readonly #holders: Holders
  readonly #namespaces = new Map<string, 'flux' | 'argocd'>()
  readonly #candidates: ClusterObject[] = []
  readonly #bound: KubernetesObject[] = []
  readonly #roots = new Set<string>()
  #settled = false

  constructor(holders: Holders) {
    this.#holders = holders
  }

  /** Takes note of one object of the cluster; all of them come before the first question. */
  note(one: ClusterObject): void {
    const { resource, object } = one
    if (isController(one) || isApplier(one)) this.#candidates.push(one)
    if (resource.endsWith('rolebindings.rbac.authorization.k8s.io')) this.#bound.push(object)
  }

  /** Whether the object is a part of Flux, or of Argo CD if Flux does not hold that. */
  has(one: ClusterObject): boolean {
    this.#settle()
    const { resource, object } = one
    const { namespace, name } = object.metadata
    const group = groupOf(object.apiVersion)
    if (resource === 'customresourcedefinitions.apiextensions.k8s.io') return this.#defines(object)
    if (resource === 'namespaces') return this.#namespaces.has(name)
    if (resource === 'clusterrolebindings.rbac.authorization.k8s.io') return this.#binds(object)
    if (resource === 'clusterroles.rbac.authorization.k8s.io') {
      return this.#bound.some((binding) => this.#binds(binding) && (binding as Subjects).roleRef?.name === name)
    }
    if (resource === 'priorityclasses.scheduling.k8s.io') return this.#isPriority(name)
    if (namespace === undefined || !this.#namespaces.has(namespace)) return this.#isRoot(object)
    if (fluxGroups.test(group) || group === argoGroup) return this.#isRoot(object) || object.kind === 'AppProject'
    return !group.includes('.') || group.endsWith('.k8s.io')
  }

  /** The controllers' workloads, as `deployments.apps` and path parts, which run when GitOps has taken over. */
  get controllers(): ClusterObject[] {
    this.#settle()
    return this.#candidates.filter((one) => isController(one) && this.has(one))
  }

  // Only when all is known: who holds whom, decides.
  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    for (const one of this.#candidates) {
      const { namespace = '' } = one.object.metadata
      const engine = isController(one)
      if (engine === 'flux' || (engine === 'argocd' && !this.#isHeldByFlux(one)))
        this.#namespaces.set(namespace, engine)
    }
    const appliers = new Map(this.#candidates.filter(isApplier).map((one) => [keyOf(one.object), one]))
    for (const one of appliers.values()) if (this.#appliesItself(one, appliers)) this.#addRoot(one.object)
  }

  #isHeldByFlux(one: ClusterObject): boolean {
    const held = this.#holders.holderOf(one)
    return held !== undefined && held.idle === undefined && ['Kustomization', 'HelmRelease'].includes(held.holderKind)
  }

  /** Whether it comes, through whatever others, out of itself alone: then nobody is left to begin. */
  #appliesItself(one: ClusterObject, appliers: ReadonlyMap<string, ClusterObject>): boolean {
    const seen = new Set<string>()
    for (let each: ClusterObject | undefined = one; each !== undefined; ) {
      const key = keyOf(each.object)
      if (seen.has(key)) return key === keyOf(one.object)
      seen.add(key)
      each = appliers.get(this.#holders.holderOf(each)?.holder ?? '')
    }
    return false
  }

  #addRoot(object: KubernetesObject): void {
    this.#roots.add(keyOf(object))
    const { sourceRef } = (object.spec ?? {}) as Sourced
    if (sourceRef) {
      this.#roots.add(`${sourceRef.kind} ${sourceRef.namespace ?? object.metadata.namespace}/${sourceRef.name}`)
    }
  }

  #isRoot(object: KubernetesObject): boolean {
    return this.#roots.has(keyOf(object))
  }

  #defines({ spec }: KubernetesObject): boolean {
    const { group } = spec as { group: string }
    const engines = [...this.#namespaces.values()]
    return (engines.includes('flux') && fluxGroups.test(group)) || (engines.includes('argocd') && group === argoGroup)
  }

  #binds(binding: KubernetesObject): boolean {
    const { subjects = [] } = binding as Subjects
    return subjects.some(({ kind, namespace = '' }) => kind === 'ServiceAccount' && this.#namespaces.has(namespace))
  }

  #isPriority(name: string): boolean {
    return this.#candidates.some(
      (one) =>
        isController(one) &&
        this.#namespaces.has(one.object.metadata.namespace ?? '') &&
        (one.object.spec as Templated).template?.spec?.priorityClassName === name,
    )
  }
}

function isController({ resource, object }: ClusterObject): 'flux' | 'argocd' | undefined {
  if (!['deployments.apps', 'statefulsets.apps'].includes(resource) || controllerOf(object)) return undefined
  const { name } = object.metadata
  const images = ((object.spec as Templated).template?.spec?.containers ?? []).map(({ image = '' }) => image)
  if (fluxControllers.test(name) && images.some((image) => image.includes(`/${name}`))) return 'flux'
  const isArgo = name.endsWith('application-controller') && images.some((image) => image.includes('argocd'))
  return isArgo ? 'argocd' : undefined
}

function isApplier({ object }: ClusterObject): boolean {
  const group = groupOf(object.apiVersion)
  if (object.kind === 'Kustomization') return group === 'kustomize.toolkit.fluxcd.io'
  return object.kind === 'HelmRelease'
    ? group === 'helm.toolkit.fluxcd.io'
    : object.kind === 'Application' && group === argoGroup
}

function keyOf({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`
}
