import type { KubernetesObject } from '../../kubernetes/api.ts'
import type { ResourceEntry } from '../manifest.ts'
import { isNeverRestored } from './generated.ts'
import { objectKey } from './identity.ts'
import { inOrder, isCustomResource } from './order.ts'
import { type BackedUpObjects, resourceName } from './source.ts'

/** What is to be restored, by keys: objects themselves are never held, for a cluster may have any number. */
export interface Needs {
  /** by objectKey */
  readonly selected: ReadonlySet<string>
  /** Not selected, and needed by what is: restored when it is not there, and else left as it is. By objectKey. */
  readonly needed: ReadonlySet<string>
  /** The resources that have any of either, in the order of restoring. */
  readonly resources: readonly ResourceEntry[]
}

const carriers: ReadonlySet<string> = new Set([
  'namespaces',
  'persistentvolumes',
  'customresourcedefinitions.apiextensions.k8s.io',
])

/**
 * Reads every file that will be restored from to its end, so that a damaged one is found before the first change, and notes what is
 * selected and what that needs: its namespace, the volumes of its claims, the definitions of its custom resources.
 * @throws OperatorError for a damaged file, or one that does not open
 */
export async function findNeeds(source: BackedUpObjects): Promise<Needs> {
  const selected = new Set<string>()
  const needs = new Set<string>()
  const offered = new Map<string, ResourceEntry>()
  const resources = new Set<ResourceEntry>()
  for (const entry of source.manifest.resources) {
    const carries = carriers.has(resourceName(entry))
    if (isNeverRestored(entry) || !(carries || source.selection.resource(entry))) continue
    for await (const object of source.objects(entry)) {
      const key = objectKey(object)
      if (carries) offered.set(key, entry)
      if (!source.selection.resource(entry) || !source.selection.object(object, entry)) continue
      selected.add(key)
      resources.add(entry)
      for (const need of neededBy(entry, object)) needs.add(need)
    }
  }
  const needed = new Set([...needs].filter((key) => offered.has(key) && !selected.has(key)))
  for (const key of needed) resources.add(offered.get(key) as ResourceEntry)
  return { selected, needed, resources: inOrder([...resources]) }
}

function neededBy(entry: ResourceEntry, object: KubernetesObject): string[] {
  const { namespace } = object.metadata
  const needs = namespace === undefined ? [] : [`Namespace. /${namespace}`]
  const spec = object.spec as { volumeName?: string } | undefined
  if (resourceName(entry) === 'persistentvolumeclaims' && spec?.volumeName) {
    needs.push(`PersistentVolume. /${spec.volumeName}`)
  }
  if (isCustomResource(entry)) needs.push(`CustomResourceDefinition.apiextensions.k8s.io /${resourceName(entry)}`)
  return needs
}
