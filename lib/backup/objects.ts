import type { KubernetesObject } from '../kubernetes/api.ts'
import { backedUpObjects } from './restore/source.ts'

/** All objects of one resource that a backup holds, as the API server sent them; none when it has none. */
export type InBackup = (group: string, resource: string) => Promise<KubernetesObject[]>

/**
 * A whole backup, to be asked for one resource after the other. What is encrypted in it (Secrets) cannot be had so.
 * @throws OperatorError when there is no manifest in the folder; when a file that is asked for is not what it says
 */
export async function objectsInBackup(folder: string): Promise<InBackup> {
  const selection = { resource: () => true, object: () => true }
  const { manifest, objects } = await backedUpObjects(folder, { decryption: undefined, selection })
  return async (group, resource) => {
    const entry = manifest.resources.find((each) => each.group === group && each.resource === resource)
    const found: KubernetesObject[] = []
    if (entry) for await (const object of objects(entry)) found.push(object)
    return found
  }
}
