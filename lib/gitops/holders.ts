import type { KubernetesObject } from '../kubernetes/api.ts'

/** An object, with the resource that it is of as kubectl writes it: `deployments.apps`, `secrets`. */
export interface ClusterObject {
  readonly resource: string
  readonly object: KubernetesObject
}

/** Whom an object comes from. `idle`: why that one would not make it anew; undefined when it would. */
export interface Held {
  readonly by: 'git' | 'controller'
  /** `Kustomization flux-system/monitoring` */
  readonly holder: string
  readonly holderKind: string
  readonly idle?: string
}

type Reference = NonNullable<KubernetesObject['metadata']['ownerReferences']>[number]

interface Known {
  readonly key: string
  readonly kind: string
  readonly idle?: string
  /** what it has applied, by itsOwn(); undefined when it does not say */
  readonly made?: ReadonlySet<string>
}

interface HolderSpec {
  suspend?: boolean
  paused?: boolean
  releaseName?: string
  targetNamespace?: string
  syncPolicy?: { automated?: { enabled?: boolean } | null }
}

interface HolderStatus {
  inventory?: { entries?: { id: string }[] }
  resources?: { group?: string; kind: string; namespace?: string; name: string }[]
}

const kustomizeLabels = 'kustomize.toolkit.fluxcd.io'
const helmLabels = 'helm.toolkit.fluxcd.io'
const trackingId = 'argocd.argoproj.io/tracking-id'
/** Source: https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources */
const leftAlone: readonly [string, string][] = [
  ['kustomize.toolkit.fluxcd.io/reconcile', 'disabled'],
  ['kustomize.toolkit.fluxcd.io/ssa', 'Ignore'],
  ['helm.toolkit.fluxcd.io/driftDetection', 'disabled'],
]

/**
 * Who holds the objects of a cluster: Flux' Kustomizations and HelmReleases, Argo CD's Applications, and whatever an ownerReference
 * names. Whoever is suspended, or not synced by itself, holds an object and would still not make it anew.
 * Source: https://fluxcd.io/flux/components/kustomize/kustomizations/, …/helm/helmreleases/ (labels, inventory),
 * https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
 */
export class Holders {
  readonly #owners = new Map<string, Known>()
  readonly #flux = new Map<string, Known>()
  readonly #releases = new Map<string, Known>()
  readonly #applications = new Map<string, Known>()
  readonly #applied = new Map<string, Known>()

  /** Takes note of one object of the cluster; all of them come before the first question. */
  note({ object }: ClusterObject): void {
    const { uid, namespace = '', name } = object.metadata
    const { kind = '' } = object
    const group = groupOf(object.apiVersion)
    const key = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`
    const spec = (object.spec ?? {}) as HolderSpec
    const owner: Known = { key, kind, ...idleBecause(spec.paused === true && `${key} is paused`) }
    if (uid !== undefined) this.#owners.set(uid, owner)
    const status = (object.status ?? {}) as HolderStatus
    if (group === 'kustomize.toolkit.fluxcd.io' || group === 'helm.toolkit.fluxcd.io') {
      this.#noteFlux(key, kind, namespace, name, spec, status)
    }
    if (group === 'argoproj.io' && kind === 'Application') this.#noteApplication(key, name, spec, status)
  }

  /** @returns undefined for what nobody holds */
  holderOf({ object }: ClusterObject): Held | undefined {
    const { labels = {}, annotations = {}, ownerReferences = [] } = object.metadata
    const owner = this.#ownerIn(ownerReferences)
    if (owner) return held('controller', owner)
    const holder =
      this.#tracking(object, annotations[trackingId]) ??
      this.#labelled(object, helmLabels, 'HelmRelease', labels) ??
      this.#labelled(object, kustomizeLabels, 'Kustomization', labels) ??
      this.#charted(object, annotations) ??
      this.#applied.get(itsOwn(object)) ??
      this.#instance(labels['app.kubernetes.io/instance'])
    if (holder === undefined) return undefined
    const told = leftAlone.find(([name, value]) => annotations[name]?.toLowerCase() === value.toLowerCase())
    return held(
      'git',
      told ? { ...holder, idle: `${holder.key} is told to leave it alone (${told.join(': ')})` } : holder,
    )
  }

  /** Whether there is such a release that Flux installs: its record is made anew, too. */
  installs(namespace: string, release: string): Held | undefined {
    const known = this.#releases.get(`${namespace}/${release}`)
    return known && held('git', known)
  }

  #noteFlux(key: string, kind: string, namespace: string, name: string, spec: HolderSpec, status: HolderStatus) {
    const entries = status.inventory?.entries
    const made = entries && { made: new Set(entries.map(({ id }) => ownOfEntry(id))) }
    const known: Known = { key, kind, ...idleBecause(spec.suspend === true && `${key} is suspended`), ...made }
    this.#flux.set(key, known)
    if (kind !== 'HelmRelease') return
    const where = spec.targetNamespace ?? namespace
    const called = spec.releaseName ?? (spec.targetNamespace === undefined ? name : `${spec.targetNamespace}-${name}`)
    this.#releases.set(`${where}/${called}`, known)
  }

  #noteApplication(key: string, name: string, spec: HolderSpec, { resources }: HolderStatus) {
    const automated = spec.syncPolicy?.automated
    const syncs = automated !== undefined && automated !== null && automated.enabled !== false
    const known: Known = { key, kind: 'Application', ...idleBecause(!syncs && `${key} is not synced by itself`) }
    this.#applications.set(name, resources ? { ...known, made: new Set() } : known)
    for (const { group = '', kind, namespace = '', name: resource } of resources ?? []) {
      this.#applied.set(`${group}/${kind} ${namespace}/${resource}`, known)
    }
  }

  #ownerIn(references: readonly Reference[]): Known | undefined {
    const uid = (references.find(({ controller }) => controller) ?? references[0])?.uid
    return uid === undefined ? undefined : this.#owners.get(uid)
  }

  /** The annotation names the object too: one that was copied to another object says nothing. */
  #tracking(object: KubernetesObject, id: string | undefined): Known | undefined {
    if (id === undefined) return undefined
    const [application = '', ...rest] = id.split(':')
    const { namespace = '', name } = object.metadata
    if (rest.join(':') !== `${groupOf(object.apiVersion)}/${object.kind}:${namespace}/${name}`) return undefined
    const called = application.includes('_') ? application.slice(application.indexOf('_') + 1) : application
    return this.#applications.get(called) ?? gone('Application', called)
  }

  /** An operator that copies labels copies these, too: what the inventory does not have was not applied. */
  #labelled(object: KubernetesObject, prefix: string, kind: string, labels: Record<string, string>): Known | undefined {
    const name = labels[`${prefix}/name`]
    const namespace = labels[`${prefix}/namespace`]
    if (name === undefined || namespace === undefined) return undefined
    const known = this.#flux.get(`${kind} ${namespace}/${name}`)
    if (known === undefined) return gone(kind, `${namespace}/${name}`)
    return known.made === undefined || known.made.has(itsOwn(object)) ? known : undefined
  }

  #charted({ metadata }: KubernetesObject, annotations: Record<string, string>): Known | undefined {
    if (metadata.labels?.['app.kubernetes.io/managed-by'] !== 'Helm') return undefined
    const release = annotations['meta.helm.sh/release-name']
    if (release === undefined) return undefined
    const namespace = annotations['meta.helm.sh/release-namespace'] ?? metadata.namespace ?? ''
    const known = this.#releases.get(`${namespace}/${release}`)
    if (known) return known
    const key = `Helm release ${namespace}/${release}`
    return { key, kind: 'Release', idle: `${key} was installed by hand: no HelmRelease and no Application holds it` }
  }

  /** The label that most charts set for other reasons counts only for an Application that does not say what it has applied. */
  #instance(name: string | undefined): Known | undefined {
    const known = name === undefined ? undefined : this.#applications.get(name)
    return known?.made === undefined ? known : undefined
  }
}

/** '' for the core group. */
export function groupOf(apiVersion = ''): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

/** `secrets flux-system/sops-age`, `nodes talos00`: how an object is called in a list of them. */
export function calledIn({ resource, object }: ClusterObject): string {
  const { namespace, name } = object.metadata
  return `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`
}

function held(by: Held['by'], { key, kind, idle }: Known): Held {
  return { by, holder: key, holderKind: kind, ...idleBecause(idle ?? false) }
}

function gone(kind: string, name: string): Known {
  const key = `${kind} ${name}`
  return { key, kind, idle: `${key}, which made it, is not there any more` }
}

function idleBecause(why: string | false): { idle?: string } {
  return why === false ? {} : { idle: why }
}

function itsOwn({ apiVersion, kind, metadata }: KubernetesObject): string {
  return `${groupOf(apiVersion)}/${kind} ${metadata.namespace ?? ''}/${metadata.name}`
}

/** An entry of a Kustomization's inventory: NAMESPACE_NAME_GROUP_KIND, with __ for a colon in the name. */
function ownOfEntry(id: string): string {
  const first = id.indexOf('_')
  const kind = id.slice(id.lastIndexOf('_') + 1)
  const rest = id.slice(first + 1, id.lastIndexOf('_'))
  const group = rest.slice(rest.lastIndexOf('_') + 1)
  const name = rest.slice(0, rest.lastIndexOf('_')).replaceAll('__', ':')
  return `${group}/${kind} ${id.slice(0, first)}/${name}`
}
