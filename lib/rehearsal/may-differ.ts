/** Something of the old cluster that is allowed to be other, or gone, on the new one, and why that is no loss. */
export interface MayDiffer {
  group: string
  resource: string
  /** what: the whole object (identity and content), or only its content. */
  what: 'object' | 'content'
  reason: string
}

/**
 * The whole list: what is not on it must be on the new cluster with the same UID and the same content.
 * Content is everything of an object but its metadata and its status.
 */
export const mayDiffer: readonly MayDiffer[] = [
  { group: '', resource: 'events', what: 'object', reason: 'a log, kept for an hour' },
  { group: 'events.k8s.io', resource: 'events', what: 'object', reason: 'the same log under its newer name' },
  { group: '', resource: 'pods', what: 'object', reason: 'evicted by the drain and made anew by their controllers' },
  { group: 'coordination.k8s.io', resource: 'leases', what: 'object', reason: 'heartbeats and leader elections' },
  { group: '', resource: 'endpoints', what: 'content', reason: 'follow the addresses of the new pods' },
  {
    group: 'discovery.k8s.io',
    resource: 'endpointslices',
    what: 'object',
    reason: 'follow the addresses of the new pods',
  },
  {
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    what: 'object',
    reason: 'removed an hour after they were answered',
  },
  { group: '', resource: 'componentstatuses', what: 'object', reason: 'computed when asked for, stored nowhere' },
]

/** What more may differ in a cluster that was rebuilt from Git, whose etcd is another one. */
export const rebuiltMayDiffer: readonly MayDiffer[] = [
  {
    group: 'apps',
    resource: 'replicasets',
    what: 'object',
    reason: 'made anew by their Deployments; older ones are history',
  },
  {
    group: 'apps',
    resource: 'controllerrevisions',
    what: 'object',
    reason: 'the history of rollouts, which begins anew',
  },
  {
    group: 'networking.k8s.io',
    resource: 'ipaddresses',
    what: 'object',
    reason: 'follow the cluster IPs, which are given out anew',
  },
]

/** How one resource is excused, if at all. */
export function excuse(group: string, resource: string): MayDiffer | undefined {
  return mayDiffer.find((one) => one.group === group && one.resource === resource)
}
