import * as z from 'zod'
import type { Undoable } from './way-back.ts'

const object = z.object({ kind: z.string(), namespace: z.string(), name: z.string() })

/** Where undo data tells of the objects that were changed: by a path of the API, by the place of a text, by the workloads that read it. */
const changed = z.looseObject({
  path: z.string().optional(),
  place: object.optional(),
  workloads: z.array(object).optional(),
})

/** The phases that put the new machine's address where the old one's was: nothing that they have written says anything beside it. */
const ofTheMove = ['rewrite-ip', 'repeer']

/**
 * The keys of etcd, without their root, of what this run itself has changed on the new machine for its address to be known. It goes with that machine,
 * and is no loss.
 */
export function keysOfTheMove(changes: readonly Undoable[]): Set<string> {
  const own = changes.filter(({ phase }) => ofTheMove.includes(phase))
  return new Set(
    own.flatMap(({ undo }) => {
      const { path, place, workloads = [] } = changed.parse(undo)
      const objects = [...(place ? [place] : []), ...workloads]
      return [...(path === undefined ? [] : keysOf(path)), ...objects.map(keyOf)]
    }),
  )
}

const keyOf = ({ kind, namespace, name }: z.output<typeof object>) => `${kind.toLowerCase()}s/${namespace}/${name}`

/** Built-in resources are stored without their group, custom ones with it. */
function keysOf(path: string): string[] {
  const [, group, namespace, resource, name] =
    /^\/(?:api|apis\/([^/]+))\/[^/]+\/(?:namespaces\/([^/]+)\/)?([^/]+)\/([^/]+)$/.exec(path) ?? []
  const key = [resource, namespace, name].filter((part) => part !== undefined).join('/')
  return group === undefined ? [key] : [key, `${group}/${key}`]
}
