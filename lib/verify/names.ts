import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { fullName } from '../kubernetes/kinds.ts'
import type { Baseline } from './baseline.ts'

/** What Git or a person makes, besides all that the baseline looks into. Pods, endpoints, events and leases come and go. */
const collections: Record<string, string> = {
  Namespace: '/api/v1/namespaces',
  Service: '/api/v1/services',
  ConfigMap: '/api/v1/configmaps',
  Secret: '/api/v1/secrets',
  StorageClass: '/apis/storage.k8s.io/v1/storageclasses',
  CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
}

const namesOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
const pageSize = 1000

/**
 * Which objects there are, by their names alone: no Secret's content leaves the API server.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables (PartialObjectMetadataList)
 */
export async function readNames(api: KubernetesApi): Promise<Baseline['names']> {
  const lists = await Promise.all(Object.entries(collections).map(([kind, path]) => namesIn(api, kind, path)))
  return lists.flat()
}

async function namesIn(api: KubernetesApi, kind: string, path: string): Promise<Baseline['names']> {
  const found: Baseline['names'] = []
  for await (const page of api.pages(path, { limit: pageSize }, { accept: namesOnly })) {
    found.push(...page.filter(isMeant).map((object) => ({ key: `${kind} ${fullName(object)}` })))
  }
  return found
}

/** What controllers make anew or let run out is no loss: what has an owner, Helm's history, join tokens, what Liqo keeps for one peering. */
function isMeant({ metadata }: KubernetesObject): boolean {
  const { ownerReferences = [], labels = {}, namespace = '', name } = metadata
  const passing = ['sh.helm.release.', 'bootstrap-token-', 'liqo-tenant-'].some((prefix) => name.startsWith(prefix))
  const ofPeering = namespace.startsWith('liqo-tenant-') || hasLabelOf(labels, 'liqo.io')
  return ownerReferences.length === 0 && !passing && !ofPeering
}

function hasLabelOf(labels: Record<string, string>, domain: string): boolean {
  return Object.keys(labels).some((label) => label.split('/')[0]?.endsWith(domain))
}
