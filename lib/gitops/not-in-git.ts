import type { ClusterObject, Held, Holders } from './holders.ts'
import type { SecretUses } from './secret-uses.ts'

/** What becomes of an object when its cluster is rebuilt from Git. */
export type Fate =
  /** the cluster makes it by itself, and nothing of it is missed */
  | { fate: 'cluster' }
  /** its controller makes it anew */
  | { fate: 'controller'; holder: string }
  /** Git holds it, and its holder makes it anew */
  | { fate: 'git'; held: Held }
  /** it has to be restored */
  | { fate: 'restore'; why: string }
  /** it cannot be had again, and is not restored either */
  | { fate: 'lost'; why: string }

/** @returns why the cluster makes such an object by itself, or it is no use to restore it; undefined for all others */
export type LeftToCluster = (one: ClusterObject) => string | undefined

/** Secrets that are written anew from where their values are kept, and not drawn at random. */
const copiesOfElsewhere = new Set([
  'ExternalSecret',
  'ClusterExternalSecret',
  'SealedSecret',
  'OnePasswordItem',
  'VaultStaticSecret',
  'ServiceAccount',
])
/** What follows from its owner alone. */
const derived = new Set([
  'pods',
  'replicasets.apps',
  'controllerrevisions.apps',
  'jobs.batch',
  'endpointslices.discovery.k8s.io',
])
const webhooks = new Set([
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
])
const systemNamespaces = new Set(['default', 'kube-node-lease', 'kube-public', 'kube-system'])
/** Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#controller-roles */
const controllers =
  'attachdetach certificate clusterrole-aggregation cronjob daemon-set deployment device-taint-eviction disruption endpoint endpointslice endpointslicemirroring ephemeral-volume expand job namespace node pv-protection pvc-protection replicaset replication resource-claim resourcequota route selinux-warning service service-account service-cidrs statefulset ttl ttl-after-finished validatingadmissionpolicy-status volumeattributesclass-protection'
const otherParts =
  'bootstrap-signer generic-garbage-collector horizontal-pod-autoscaler legacy-service-account-token-cleaner persistent-volume-binder pod-garbage-collector root-ca-cert-publisher token-cleaner kube-apiserver-serving-clustertrustbundle-publisher'
const ofControllerManager = new Set([
  ...controllers.split(' ').map((name) => `${name}-controller`),
  ...otherParts.split(' '),
])

/**
 * Tells what Git does not hold: pure, over one object at a time, once `holders` and `uses` have taken note of all of them.
 * @param leftToCluster what a restore leaves to the cluster
 */
export function fateOf(
  one: ClusterObject,
  { holders, uses, leftToCluster }: { holders: Holders; uses: SecretUses; leftToCluster: LeftToCluster },
): Fate {
  if (isOfCluster(one)) return { fate: 'cluster' }
  const left = leftToCluster(one)
  const held = holders.holderOf(one)
  if (left !== undefined) return left.startsWith('it had ended') && !held ? { fate: 'lost', why: left } : asLeft(held)
  const kept = whyInAnyCase(one, held, uses)
  if (kept !== undefined) return { fate: 'restore', why: kept }
  if (one.resource === 'secrets' && one.object.type === 'helm.sh/release.v1') return fateOfRelease(one, holders)
  // Before the operator that registers them runs, they would refuse whatever comes.
  if (held === undefined && webhooks.has(one.resource)) return { fate: 'controller', holder: 'its operator' }
  if (held === undefined) return { fate: 'restore', why: byHand(one, uses) }
  if (derived.has(one.resource) && held.by === 'controller') return { fate: 'controller', holder: held.holder }
  if (held.idle !== undefined) return { fate: 'restore', why: `${held.idle}: nobody would make it` }
  return held.by === 'git' ? { fate: 'git', held } : { fate: 'controller', holder: held.holder }
}

function asLeft(held: Held | undefined): Fate {
  return held?.by === 'git' && held.idle === undefined ? { fate: 'git', held } : { fate: 'cluster' }
}

function isOfCluster({ resource, object }: ClusterObject): boolean {
  const { name, namespace, labels = {}, annotations = {} } = object.metadata
  const isMarked = Object.keys(labels).some((label) => label !== 'kubernetes.io/metadata.name')
  if (resource === 'namespaces') return systemNamespaces.has(name) && !isMarked
  if (resource !== 'serviceaccounts') return false
  if (namespace === 'kube-system' && ofControllerManager.has(name)) return true
  const { imagePullSecrets, secrets } = object as { imagePullSecrets?: unknown; secrets?: unknown }
  const isBare = imagePullSecrets === undefined && secrets === undefined
  return name === 'default' && isBare && !isMarked && Object.keys(annotations).length === 0
}

/** What is restored whoever holds it, for whoever would make it anew would make something else. */
function whyInAnyCase(
  { resource, object }: ClusterObject,
  held: Held | undefined,
  uses: SecretUses,
): string | undefined {
  const { namespace = '', name, annotations = {} } = object.metadata
  if (resource === 'persistentvolumes') return 'it alone knows where the data is; nobody would make it again'
  if (resource === 'persistentvolumeclaims') {
    const volume = (object.spec as { volumeName?: string } | undefined)?.volumeName
    return volume === undefined ? undefined : `without it a new, empty volume would take the place of ${volume}`
  }
  if (resource !== 'secrets' || object.type === 'helm.sh/release.v1') return undefined
  const certificate = annotations['cert-manager.io/certificate-name']
  if (certificate !== undefined)
    return `Certificate ${certificate} would get another one from its issuer, within its limits`
  if (held === undefined || copiesOfElsewhere.has(held.holderKind)) return undefined
  const use = uses.of(namespace, name)
  if (held.by === 'controller') return `${held.holder} made it, and would draw other values`
  if (held.holderKind === 'Kustomization') return undefined
  return `${held.holder} makes it, and may draw other values${use === undefined ? '' : `; ${use}`}`
}

/** Helm's record of what it has installed. helm-controller installs anew, and begins it anew. */
function fateOfRelease({ object }: ClusterObject, holders: Holders): Fate {
  const { namespace = '', labels = {} } = object.metadata
  const held = holders.installs(namespace, labels.name ?? '')
  if (held?.idle === undefined && held) return { fate: 'git', held }
  return { fate: 'restore', why: held ? `${held.idle}: it would not know its release` : 'Helm knows its release by it' }
}

function byHand({ resource, object }: ClusterObject, uses: SecretUses): string {
  const { namespace = '', name } = object.metadata
  if (resource === 'customresourcedefinitions.apiextensions.k8s.io') {
    return 'no mark of who made it: charts leave none on what lies in their crds folder'
  }
  if (namespace === 'kube-system' && ofTalos.has(name)) return 'Talos makes it, and what was changed in it is in no Git'
  const use = resource === 'secrets' ? uses.of(namespace, name) : undefined
  return use ?? 'nothing in Git holds it: it was made by hand'
}

const ofTalos = new Set(['coredns', 'kube-dns', 'kube-proxy', 'kube-flannel', 'kube-flannel-cfg', 'flannel'])
