import type { KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { deep, fields, inGroup, type Planned, type Random } from './random-objects.ts'

export const groupOfTest = 'test.example.org'

function definition(plural: string, kind: string, scope: string, subresources: Record<string, unknown>): Planned {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  return {
    collection: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    object: {
      metadata: { name: `${plural}.${groupOfTest}` },
      spec: {
        group: groupOfTest,
        scope,
        names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
        versions: [{ name: 'v1', served: true, storage: true, schema, subresources }],
      },
    },
  }
}

export const definitions = [
  definition('widgets', 'Widget', 'Namespaced', { status: {} }),
  // Of before there were status subresources: its status is a field like any other.
  definition('relics', 'Relic', 'Namespaced', {}),
  definition('realms', 'Realm', 'Cluster', { status: {} }),
]

export function custom(
  random: Random,
  resource: 'widgets' | 'relics' | 'realms',
  meta: KubernetesObject['metadata'],
): Planned {
  const kind = { widgets: 'Widget', relics: 'Relic', realms: 'Realm' }[resource]
  const collection = meta.namespace
    ? inGroup(`${groupOfTest}/v1`, meta.namespace, resource)
    : `/apis/${groupOfTest}/v1/${resource}`
  const object = {
    apiVersion: `${groupOfTest}/v1`,
    kind,
    metadata: meta,
    spec: fields(random, 5),
    other: [deep(random, 4)],
  }
  if (resource === 'relics') return { collection, object: { ...object, status: fields(random, 2) } }
  return { collection, object, status: fields(random, 2) }
}
