import { isNeverRestored, leftToCluster as leftByRestore } from '../backup/restore/generated.ts'
import { type BackedUpObjects, resourceName } from '../backup/restore/source.ts'
import type { ClusterObject } from '../gitops/holders.ts'
import type { ObjectSource } from '../gitops/rebuild.ts'
import { ApiError, type KubernetesApi } from '../kubernetes/api.ts'
import { discover, type ListableResource } from '../kubernetes/discovery.ts'

/** All objects of a backup. Decrypted in memory only. */
export function objectsOfBackup(backup: BackedUpObjects): ObjectSource {
  return {
    origin: backup.folder,
    objects: async function* () {
      for (const entry of backup.manifest.resources) {
        if (isNeverRestored(entry) && entry.resource !== 'nodes') continue
        const resource = resourceName(entry)
        for await (const object of backup.objects(entry)) yield { resource, object }
      }
    },
  }
}

/** All objects of the running cluster. What the server refuses to list is passed over: the backup names it. */
export function objectsOfCluster(api: KubernetesApi): ObjectSource {
  return {
    origin: `the cluster at ${api.server}`,
    objects: async function* () {
      const { resources } = await discover(api)
      for (const listed of resources) {
        if (isNeverRestored({ ...listed, count: 0 }) && listed.resource !== 'nodes') continue
        yield* objectsOf(api, listed)
      }
    },
  }
}

async function* objectsOf(api: KubernetesApi, listed: ListableResource): AsyncGenerator<ClusterObject> {
  const { group, version, kind, path } = listed
  const apiVersion = group === '' ? version : `${group}/${version}`
  const objects = await api.list(path).catch((error: unknown) => {
    if (error instanceof ApiError) return []
    throw error
  })
  for (const object of objects) yield { resource: resourceName(listed), object: { ...object, apiVersion, kind } }
}

/** Why a restore would leave an object to the cluster; undefined when it would put it back. */
export function leftToCluster({ resource, object }: ClusterObject): string | undefined {
  const [plural = '', ...group] = resource.split('.')
  const entry = { group: group.join('.'), version: '', resource: plural, count: 0 }
  return isNeverRestored(entry) ? 'the cluster makes it anew' : leftByRestore(entry, object)
}
