/** What an ordering needs to know of an object: who it is, and whose manifests it is made from. */
export interface Owned {
  readonly key: string
  readonly parents: readonly string[]
}

/**
 * Groups objects into generations: those without a parent among them first, then their children, and so on.
 * A parent that is in its own ancestry (Flux's own Kustomization applies its own manifest) does not count as a parent.
 * @returns generations, each in the order that was given
 */
export function generations<T extends Owned>(objects: readonly T[]): T[][] {
  const known = new Map(objects.map((object) => [object.key, object]))
  const depths = new Map<string, number>()
  const depthOf = (object: T, path: readonly string[]): number => {
    const cached = depths.get(object.key)
    if (cached !== undefined) return cached
    const ancestry = [...path, object.key]
    const parents = object.parents.filter((parent) => !ancestry.includes(parent)).flatMap((key) => known.get(key) ?? [])
    const depth = parents.length === 0 ? 0 : 1 + Math.max(...parents.map((parent) => depthOf(parent, ancestry)))
    // Inside of a cycle the depth depends on where it was entered; only an answer from the top may be kept.
    if (path.length === 0) depths.set(object.key, depth)
    return depth
  }
  const groups: T[][] = []
  for (const object of objects) {
    const depth = depthOf(object, [])
    const group = groups[depth] ?? []
    group.push(object)
    groups[depth] = group
  }
  return Array.from(groups, (group) => group ?? []).filter((group) => group.length > 0)
}
