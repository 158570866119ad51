import type { KubernetesObject } from '../../kubernetes/api.ts'
import { controllerOf } from '../../kubernetes/kinds.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { ResourceEntry } from '../manifest.ts'
import { saysTheSame, showDifference } from './difference.ts'
import { isMadeByController, leftToCluster } from './generated.ts'
import { calledBy, objectKey } from './identity.ts'
import { type Context, isDefaultAccount } from './object.ts'
import { withoutServerOwned } from './server-owned.ts'
import { type BackedUpObjects, isSecret } from './source.ts'

const named = 20

/**
 * Looks at all that is to be restored, and changes nothing.
 * @throws OperatorError when an object is there and differs, naming them
 */
export async function refuseDifferences(context: Context, source: BackedUpObjects): Promise<void> {
  const different: string[] = []
  for (const entry of context.needs.resources) {
    const place = await context.places.ofResource(entry)
    if (place === undefined) continue
    for await (const object of source.objects(entry)) {
      const { migration, needs, writer, tally } = context
      if (!needs.selected.has(objectKey(object)) || isNotForUs(entry, object)) continue
      const there = await writer.read(place.path(object))
      const called = calledBy(object)
      // What this very restore has made before it was interrupted is as it is to be, or will be.
      if (there === null || migration.journal.changeSinceBegun(migration.phase, `Create ${called}`)) continue
      const [before, after] = [there, object].map((one) => withoutOwners(withoutServerOwned(entry, one, place)))
      if (before === undefined || after === undefined || saysTheSame(before, after)) continue
      tally.difference(showDifference(called, before, after, { secret: isSecret(entry) }))
      different.push(called)
    }
  }
  if (different.length === 0) return
  const more = different.length > named ? `, and ${different.length - named} more` : ''
  throw new OperatorError(
    `There already, and different (${different.length}): ${different.slice(0, named).join(', ')}${more}`,
    {
      means: 'Nothing was changed.',
      next: 'Leave them as they are (--conflict skip), or make them what they were (--conflict update).',
    },
  )
}

function isNotForUs(entry: ResourceEntry, object: KubernetesObject): boolean {
  const controller = controllerOf(object)
  const isMadeAnew = controller !== undefined && isMadeByController(entry, controller.kind)
  return isMadeAnew || leftToCluster(entry, object) !== undefined || isDefaultAccount(entry, object)
}

/** Owners are found by name; their UIDs make no difference. */
function withoutOwners<T extends { metadata: { ownerReferences?: unknown } }>(object: T): T {
  delete object.metadata.ownerReferences
  return object
}
