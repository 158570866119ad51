import { ApiError, type KubernetesObject } from '../../kubernetes/api.ts'
import { controllerOf } from '../../kubernetes/kinds.ts'
import type { Migration } from '../../migration/migration.ts'
import type { ResourceEntry } from '../manifest.ts'
import type { Keeper } from './before.ts'
import { saysTheSame, showDifference } from './difference.ts'
import { isMadeByController, leftToCluster } from './generated.ts'
import { calledBy, objectKey } from './identity.ts'
import type { Needs } from './needs.ts'
import { isNeededByWorkloads } from './order.ts'
import type { OwnerLookup, Owners } from './owners.ts'
import type { Place, Places } from './places.ts'
import { Refusal, refusalOf } from './refusal.ts'
import { statusIsState, withoutServerOwned } from './server-owned.ts'
import { isSecret, resourceName } from './source.ts'
import type { Tally } from './tally.ts'
import { dataBehind, letClaimBindAgain } from './volumes.ts'
import type { Writer } from './write.ts'

/** What the restoring of one object goes by. */
export interface Context {
  migration: Migration
  needs: Needs
  places: Places
  owners: OwnerLookup
  writer: Writer
  tally: Tally
  /** undefined: what is there is left alone */
  keeper: Keeper | undefined
  /** Restored, but for owners that were still to come; counted already. By objectKey. */
  withoutOwner: Set<string>
}

/** One backed-up object, and what is known of its place in the cluster. */
interface Wanted {
  entry: ResourceEntry
  called: string
  key: string
  path: string
  place: Place
  owners: Owners
  /** as it was backed up, and as it is to be */
  backedUp: KubernetesObject
  object: KubernetesObject
}

/**
 * Restores one object.
 * @param final whether nothing else is to come that it could wait for
 * @returns `waits`: it is to be tried again when more is there
 * @throws OperatorError when there is no API server any more; what the server refuses is counted
 */
export async function restoreObject(
  context: Context,
  entry: ResourceEntry,
  backedUp: KubernetesObject,
  { final }: { final: boolean },
): Promise<'waits' | 'done'> {
  try {
    const wanted = await wantedOf(context, entry, backedUp, final)
    if (wanted === undefined) return 'done'
    await restoreWanted(context, wanted)
    const { owners, key } = wanted
    if (owners.coming.length === 0 || context.migration.dryRun) return 'done'
    context.withoutOwner.add(key)
    return 'waits'
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (error.mayPass && !final) return 'waits'
    context.tally.refuse(entry, calledBy(backedUp), error)
    return 'done'
  }
}

/** @returns undefined when the object is left to the cluster */
async function wantedOf(context: Context, entry: ResourceEntry, backedUp: KubernetesObject, final: boolean) {
  const left = leftToCluster(entry, backedUp)
  if (left !== undefined) return void context.tally.left(entry, left)
  const place = await context.places.ofResource(entry)
  if (place === undefined) return notServed(context, entry, backedUp)
  const isComing = (key: string) => (!final || context.migration.dryRun) && isToCome(context.needs, key)
  const owners = await context.owners.ownersOf(backedUp, isComing)
  const controller = controllerOf(backedUp)
  if (controller && isMadeByController(entry, controller.kind) && !owners.gone.some(({ controller }) => controller)) {
    return void context.tally.left(entry, `its ${controller.kind} makes it anew`)
  }
  if (owners.coming.length > 0 && !context.migration.dryRun && !isNeededByWorkloads(entry)) {
    throw new Refusal('its owner is still to come', { next: 'Restore its owner too.', mayPass: true })
  }
  const object = withoutServerOwned(entry, backedUp, place)
  const references = context.migration.dryRun ? [...owners.present, ...owners.coming] : owners.present
  if (references.length > 0) object.metadata.ownerReferences = references
  else delete object.metadata.ownerReferences
  const path = place.path(backedUp)
  return { entry, called: calledBy(backedUp), key: objectKey(backedUp), path, place, owners, backedUp, object }
}

function isToCome({ selected, needed }: Needs, key: string): boolean {
  return selected.has(key) || needed.has(key)
}

async function notServed(context: Context, entry: ResourceEntry, object: KubernetesObject): Promise<undefined> {
  const definition = `CustomResourceDefinition.apiextensions.k8s.io /${resourceName(entry)}`
  if (context.migration.dryRun && isToCome(context.needs, definition)) {
    await context.migration.change(`Create ${calledBy(object)}`, { apply: async () => undefined })
    context.tally.unchecked()
    return void context.tally.count(entry, 'created')
  }
  throw new Refusal(`${resourceName(entry)} ${entry.version} is not served by this cluster`, {
    next: 'Restore its definition too, or bring its aggregated API server up; then the same command again.',
    mayPass: true,
  })
}

async function restoreWanted(context: Context, wanted: Wanted): Promise<void> {
  const { entry, called, path, place, object, key } = wanted
  const { migration, tally, needs, writer } = context
  const there = await present(context, wanted)
  const create = `Create ${called}`
  const made = migration.journal.changeSinceBegun(migration.phase, create)
  // Begun, and no more is known: the run was killed in it, and not all of it may have been done.
  if (there === null || made === 'begun') return createObject(context, wanted, create)
  if (resourceName(entry) === 'persistentvolumes') {
    await refusing(wanted, () => letClaimBindAgain(migration, writer, there, path, (claim) => isToCome(needs, claim)))
  }
  const asThere = withoutServerOwned(entry, there, place)
  const asBackedUp = withoutServerOwned(entry, wanted.backedUp, place)
  if (saysTheSame(asThere, object) || saysTheSame(asThere, asBackedUp)) return count(context, wanted, 'equal')
  // Needed by what is selected, and there: how it is, is not what was asked for.
  if (!needs.selected.has(key)) return
  // Made by this very restore, before its owner was there.
  if (made === 'done') return createObject(context, wanted, `Give ${called} its owners`)
  tally.difference(showDifference(called, asThere, object, { secret: isSecret(entry) }))
  if (isDefaultAccount(entry, wanted.backedUp)) return createObject(context, wanted, `Complete ${called}`, 'updated')
  if (context.keeper === undefined) return count(context, wanted, 'skipped')
  return updateObject(context, wanted, there, context.keeper)
}

/** @throws Refusal when it is being deleted */
async function present(
  { writer, migration }: Context,
  { entry, path, called }: Wanted,
): Promise<KubernetesObject | null> {
  const there = await writer.read(path)
  if (there?.metadata.deletionTimestamp === undefined) return there
  if (resourceName(entry) !== 'namespaces') {
    throw new Refusal('it is being deleted', {
      next: 'Wait until it is gone; then the same command again.',
      mayPass: true,
    })
  }
  await migration.wait({
    name: `${called}, which is being deleted, is gone`,
    timeoutSeconds: migration.settings.apiTimeout,
    hint: `Something keeps it: kubectl describe ${called}`,
    probe: async () =>
      (await writer.read(path)) === null ? { met: true, value: null } : { met: false, saw: 'it is still there' },
  })
  return null
}

async function createObject(
  context: Context,
  wanted: Wanted,
  what: string,
  outcome: 'created' | 'updated' = 'created',
): Promise<void> {
  const { migration, writer } = context
  const { path, object, entry, backedUp, called, owners } = wanted
  const onNote = (note: string) => context.tally.note(called, note)
  if (owners.coming.length === 0) {
    for (const { kind, name } of owners.gone) onNote(`its owner ${kind} ${name} is not there; it is restored without`)
  }
  const note = await dataBehind(writer.read, object, (key) => isToCome(context.needs, key))
  if (note !== undefined) onNote(note)
  await askBeforehand(context, wanted)
  await migration.change(what, {
    undo: { kind: 'restored', path, was: outcome === 'created' ? 'absent' : 'there' },
    apply: () =>
      refusing(wanted, async () => {
        await writer.apply({ path, object, dryRun: false, onNote })
        if (statusIsState.has(resourceName(entry)) && backedUp.status !== undefined) {
          await writer.putStatus({ path, object: backedUp })
        }
      }),
  })
  count(context, wanted, outcome)
}

async function updateObject(context: Context, wanted: Wanted, there: KubernetesObject, keeper: Keeper): Promise<void> {
  const { migration, writer, tally } = context
  const { path, object, entry, place, called } = wanted
  await askBeforehand(context, wanted)
  const kept = migration.dryRun ? '' : await keeper.keep(path, there)
  await migration.change(`Update ${called}`, {
    undo: { kind: 'overwritten', path, uid: there.metadata.uid ?? '', kept },
    apply: () =>
      refusing(wanted, async () => {
        const onNote = (note: string) => tally.note(called, note)
        const asWanted = (applied: KubernetesObject) => withoutServerOwned(entry, applied, place)
        await writer.applyExactly({ path, object, dryRun: false, onNote }, asWanted)
      }),
  })
  count(context, wanted, 'updated')
}

/** In a dry run the server itself is asked what it would say: admission and validation included. */
async function askBeforehand(context: Context, wanted: Wanted): Promise<void> {
  if (!context.migration.dryRun) return
  const { path, object, called } = wanted
  const onNote = (note: string) => context.tally.note(called, note)
  try {
    await refusing(wanted, () => context.writer.apply({ path, object, dryRun: true, onNote }))
  } catch (error) {
    if (!(error instanceof Refusal && error.mayPass)) throw error
    context.tally.unchecked()
  }
}

/** What the server says against the object, in words that may be shown and journaled. */
async function refusing<T>({ entry }: Wanted, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw error instanceof ApiError ? refusalOf(error, { secret: isSecret(entry) }) : error
  }
}

function count(
  { tally, withoutOwner, needs }: Context,
  { entry, key }: Wanted,
  outcome: Parameters<Tally['count']>[1],
) {
  if (withoutOwner.has(key) || (outcome === 'equal' && !needs.selected.has(key))) return
  tally.count(entry, outcome)
}

/** The cluster makes one in every namespace, mostly sooner than it can be restored. */
export function isDefaultAccount(entry: ResourceEntry, object: KubernetesObject): boolean {
  return resourceName(entry) === 'serviceaccounts' && object.metadata.name === 'default'
}
