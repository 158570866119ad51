import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { discover } from '../../lib/kubernetes/discovery.ts'
import { until } from './bare-cluster.ts'

/** Defines a custom resource of the group x.io with two versions, v1 being stored and v2 preferred, and makes one object of it. */
export async function defineTwoVersions(api: KubernetesApi, plural: string): Promise<void> {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const kind = plural[0]?.toUpperCase() + plural.slice(1)
  await api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: `${plural}.x.io` },
    spec: {
      group: 'x.io',
      scope: 'Namespaced',
      names: { plural, singular: plural.slice(0, -1), kind, listKind: `${kind}List` },
      versions: ['v1', 'v2'].map((name) => ({ name, served: true, storage: name === 'v1', schema })),
    },
  })
  const object = {
    apiVersion: 'x.io/v1',
    kind,
    metadata: { name: 'one' },
    spec: { deep: [{ metadata: { name: 'in' } }] },
  }
  await until(`${plural} are served`, async () => {
    await api.create(`/apis/x.io/v1/namespaces/default/${plural}`, object)
    return true
  })
  await until(`${plural} are discovered`, async () =>
    (await discover(api)).resources.some(({ resource }) => resource === plural),
  )
}
