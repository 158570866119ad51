import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { until } from './bare-cluster.ts'

/** A kind of custom resource as far as a test needs it. */
export interface Definition {
  group: string
  plural: string
  kind: string
  /** of `spec`; any field is kept if not given */
  properties?: Record<string, unknown>
}

/** Defines kinds that keep any field of `spec`, or only the properties that are named, and waits until they are served. */
export async function defineKinds(api: KubernetesApi, definitions: readonly Definition[]): Promise<void> {
  for (const { group, plural, kind, properties } of definitions) {
    const spec = properties
      ? { type: 'object', properties }
      : { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    const schema = {
      type: 'object',
      properties: { spec, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    }
    await api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${plural}.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: schema },
            subresources: { status: {} },
          },
        ],
      },
    })
  }
  for (const { group, plural } of definitions) {
    await until(`${plural}.${group} are served`, async () => {
      await api.list(`/apis/${group}/v1/${plural}`)
      return true
    })
  }
}
