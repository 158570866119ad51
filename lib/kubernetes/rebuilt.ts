import * as z from 'zod'
import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'

const factName = 'rebuilt-cluster'
const rebuilt = z.object({ kubeSystemUid: z.string() })

/** Remembers the new cluster that this run has begun, by the UID of its namespace kube-system. */
export function rememberRebuilt(migration: Migration, kubeSystemUid: string): void {
  migration.remember(factName, { kubeSystemUid })
}

/** The UID of kube-system of the new cluster that this run has begun; undefined when it has begun none. */
export function rebuiltCluster(migration: Migration): string | undefined {
  return migration.recall(factName, rebuilt)?.kubeSystemUid
}

/**
 * Whether the cluster that answers is one that this run has rebuilt from Git. What a drain has quieted is the old one: here nothing of
 * it is to be undone, and the journal keeps it for the way back to the old machine.
 */
export async function isRebuilt(migration: Migration, api: KubernetesApi): Promise<boolean> {
  const uid = rebuiltCluster(migration)
  if (uid === undefined) return false
  const namespace = await api.getOrNull('/api/v1/namespaces/kube-system')
  return namespace?.metadata.uid === uid
}
