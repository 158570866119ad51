import type { KubernetesObject } from '../kubernetes/api.ts'

interface ManagedFields {
  manager?: string
  subresource?: string
  fieldsV1?: Fields
}
type Fields = { [key: string]: Fields }

/** What a person writes with. Whatever else writes beside Git (autoscalers, injectors) does so again in the new cluster. */
const handTools =
  /^(kubectl|k9s|lens|node-fetch|openlens|freelens|headlamp|dashboard|kubernetes-dashboard|mozilla|curl|oc)\b/i

/**
 * The fields of an object that a person has set, and that whoever holds it has not: Git says something else there, or nothing.
 * Paths as `spec.replicas`; metadata is left out, but for the switches that GitOps goes by.
 * Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
export function editedByHand({ metadata }: KubernetesObject): string[] {
  const entries = (metadata.managedFields ?? []) as ManagedFields[]
  const isByHand = ({ manager = '' }: ManagedFields) => handTools.test(manager)
  const paths = (of: ManagedFields[]) =>
    new Set(
      of.filter(({ subresource }) => subresource !== 'status').flatMap(({ fieldsV1 = {} }) => pathsIn(fieldsV1, '')),
    )
  const byOthers = paths(entries.filter((entry) => !isByHand(entry)))
  const byHand = paths(entries.filter(isByHand))
  return [...byHand].filter((path) => isContent(path) && !byOthers.has(path)).toSorted()
}

function isContent(path: string): boolean {
  return !/^(metadata|status|apiVersion|kind)(\.|$)/.test(path)
}

/** The leaves of a set of fields: `f:NAME` is a field, `k:{…}` and `v:…` an element of a list, `.` the thing itself. */
function pathsIn(fields: Fields, path: string): string[] {
  const inner = Object.entries(fields).filter(([key]) => key !== '.')
  if (inner.length === 0) return path === '' ? [] : [path]
  return inner.flatMap(([key, value]) =>
    pathsIn(value, key.startsWith('f:') ? joined(path, key.slice(2)) : `${path}[${key.slice(2)}]`),
  )
}

function joined(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`
}
