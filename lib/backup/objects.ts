import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { KubernetesObject } from '../kubernetes/api.ts'
import { plainContent, storedContent } from './archive.ts'
import type { ChosenBackup } from './choose.ts'

/**
 * All objects of one resource in a backup, as the API server sent them. Not for Secrets: they are encrypted.
 * @returns none when the backup has none
 * @throws OperatorError when the resource is encrypted
 */
export async function objectsInBackup(
  { folder, manifest }: ChosenBackup,
  group: string,
  resource: string,
): Promise<KubernetesObject[]> {
  const entry = manifest.resources.find((each) => each.group === group && each.resource === resource)
  if (entry?.path === undefined) return []
  const content = plainContent(entry.path, storedContent(folder, entry.path), undefined)
  const objects: KubernetesObject[] = []
  for await (const line of createInterface({ input: Readable.from(content), crlfDelay: Infinity })) {
    if (line !== '') objects.push(JSON.parse(line) as KubernetesObject)
  }
  return objects
}
