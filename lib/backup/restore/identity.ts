import type { KubernetesObject } from '../../kubernetes/api.ts'
import { fullName } from '../../kubernetes/kinds.ts'

/** '' for the core group. */
export function groupOf(apiVersion = ''): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

/** What an object is known by when its UID is not: the version of its group left out, for it may be served at another. */
export function objectKey(object: {
  apiVersion?: string
  kind?: string
  metadata: { name: string; namespace?: string }
}): string {
  const { namespace = '', name } = object.metadata
  return `${object.kind}.${groupOf(object.apiVersion)} ${namespace}/${name}`
}

/** `Deployment.apps media/plex`: what the operator, the journal and the log call it. */
export function calledBy(object: KubernetesObject): string {
  const group = groupOf(object.apiVersion)
  return `${object.kind}${group === '' ? '' : `.${group}`} ${fullName(object)}`
}
