import type { ClusterObject, Holders } from '../../gitops/holders.ts'
import type { Field } from './fields.ts'

/** Where a field's content comes from, and so what has to be changed. */
export type Whose =
  /** Git holds it; `idle`: why it would not be brought into the cluster by itself */
  | { who: 'git'; holder: string; idle?: string }
  /** it is made from something else, which has to be changed there */
  | { who: 'maker'; holder: string }
  /** it comes by itself, once what it is made from has changed */
  | { who: 'follows'; holder: string }
  /** the cluster's own components write it */
  | { who: 'cluster'; why: string }
  | { who: 'nobody' }

/** What follows from its owner alone. */
const derived = new Set([
  'pods',
  'replicasets.apps',
  'controllerrevisions.apps',
  'jobs.batch',
  'endpoints',
  'endpointslices.discovery.k8s.io',
])
const announced = new Set(['endpoints default/kubernetes', 'endpointslices.discovery.k8s.io default/kubernetes'])

/** What was seen of a whole cluster, without which nobody can say whose an object is. */
export interface Seen {
  readonly holders: Holders
  /** namespace/name of the Services whose Endpoints the cluster fills */
  readonly selecting: ReadonlySet<string>
}

/** Tells whose a field of an object is. */
export function whoseIs(one: ClusterObject, field: Field, { holders, selecting }: Seen): Whose {
  const { resource, object } = one
  const { namespace = '', name } = object.metadata
  if (field.pointer[0] === 'status') return { who: 'cluster', why: 'its controller writes its status anew' }
  if (resource === 'nodes') return { who: 'cluster', why: 'the kubelet and the agents on the node write it anew' }
  if (announced.has(`${resource} ${namespace}/${name}`)) {
    return { who: 'cluster', why: 'the API server announces itself there' }
  }
  if (resource === 'endpoints' && selecting.has(`${namespace}/${name}`)) {
    return { who: 'follows', holder: `Service ${namespace}/${name}` }
  }
  const held = holders.holderOf(one)
  if (held === undefined) return { who: 'nobody' }
  const { holder, holderKind, idle } = held
  if (held.by === 'controller') {
    return { who: derived.has(resource) || holderKind === 'Node' ? 'follows' : 'maker', holder }
  }
  // A release that a person has installed is in no Git, and Helm would bring it back all the same.
  if (holderKind === 'Release') return { who: 'maker', holder }
  return { who: 'git', holder, ...(idle === undefined ? {} : { idle }) }
}

/** Whether it comes right without anybody doing anything. */
export function comesByItself({ who }: Whose): boolean {
  return who === 'follows' || who === 'cluster'
}
