import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { ApiError, type JsonPatchOperation, type KubernetesApi, type KubernetesObject } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import { edited, type Field, type Find, fieldsHolding, shownPointer, textAt } from './fields.ts'
import type { Hit, Survey } from './survey.ts'

export const inClusterUndoKind = 'address-in-cluster'
const undoSchema = z.object({
  kind: z.literal(inClusterUndoKind),
  path: z.string(),
  uid: z.string(),
  fields: z.array(
    z.object({
      pointer: z.array(z.union([z.string(), z.number()])),
      encoded: z.boolean(),
      edits: z.array(z.object({ at: z.number(), before: z.string(), after: z.string() })),
      locked: z.null(),
    }),
  ),
})

/**
 * Gives the new address to the objects that are nobody's: they are in no Git, and nobody would make them anew. Those of Git are never changed here, for
 * Git would take it back. Undo data says where in a text an address stood, and nothing else of the text. A change that somebody else makes at
 * the same moment is not overwritten (the object's resourceVersion is tested).
 * Source: https://datatracker.ietf.org/doc/html/rfc6902 (test, replace)
 * @returns how many objects were changed, or would be
 * @throws OperatorError naming those that the server refused, after all others
 */
export async function changeInCluster(
  migration: Migration,
  api: KubernetesApi,
  find: Find,
  { hits }: Survey,
): Promise<number> {
  const refused: string[] = []
  let changed = 0
  for (const hit of hits.filter(({ whose }) => whose.who === 'nobody')) {
    try {
      changed += (await changeObject(migration, api, find, hit)) ? 1 : 0
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      refused.push(`${hit.resource} ${hit.name}: ${error.message}`)
    }
  }
  if (refused.length === 0) return changed
  throw new OperatorError(`The server did not take the new address for:\n  ${refused.join('\n  ')}`, {
    means: 'They hold the old one still. All others were changed.',
    next: 'Change these by hand (kubectl edit), or delete and make them anew; then the same command again.',
  })
}

/** Puts the old address back where it stood, unless somebody has changed the text meanwhile. */
export async function undoInCluster(api: KubernetesApi, change: Pick<JournaledChange, 'undo'>): Promise<Undone> {
  const { path, uid, fields } = undoSchema.parse(change.undo)
  const object = await api.getOrNull(path)
  if (object === null) return 'conflict: it is not there any more'
  if (object.metadata.uid !== uid) return 'conflict: it was made anew meanwhile'
  const operations: JsonPatchOperation[] = []
  for (const field of fields) {
    const text = textAt(object, field)
    const back = text === undefined ? undefined : edited(text, field.edits, 'take back')
    if (back !== undefined) operations.push(replacing(field, back))
    else if (text === undefined || edited(text, field.edits, 'make') === undefined) {
      return `conflict: ${shownPointer(field.pointer)} was changed meanwhile`
    }
  }
  if (operations.length === 0) return 'already'
  try {
    await api.jsonPatch(path, [unchangedSince(object), ...operations])
    return 'undone'
  } catch (error) {
    if (await isChanged(api, path, object, error)) return 'conflict: somebody else changes it at this very moment'
    throw error
  }
}

async function changeObject(migration: Migration, api: KubernetesApi, find: Find, hit: Hit): Promise<boolean> {
  const object = await api.getOrNull(hit.path)
  const fields = object === null ? [] : editable(hit.resource, object, find)
  if (object === null || fields.length === 0) return false
  const where = fields.map(({ pointer }) => shownPointer(pointer)).join(', ')
  const { uid = '', resourceVersion } = object.metadata
  // With the version: of an object that has changed since, another undo is needed.
  await migration.change(`Give ${hit.resource} ${hit.name} the new address in ${where} (version ${resourceVersion})`, {
    undo: { kind: inClusterUndoKind, path: hit.path, uid, fields },
    apply: () => applyTo(api, find, hit, fields),
  })
  return true
}

async function applyTo(api: KubernetesApi, find: Find, hit: Hit, wanted: readonly Field[]): Promise<void> {
  const object = await api.getOrNull(hit.path)
  const fields = object === null ? [] : editable(hit.resource, object, find)
  if (object === null || fields.length === 0) return
  if (!isDeepStrictEqual(fields, wanted)) throw meanwhile(hit)
  const operations = fields.map((field) =>
    replacing(field, edited(textAt(object, field) ?? '', field.edits, 'make') ?? ''),
  )
  try {
    await api.jsonPatch(hit.path, [unchangedSince(object), ...operations])
  } catch (error) {
    throw (await isChanged(api, hit.path, object, error)) ? meanwhile(hit) : error
  }
}

function editable(resource: string, object: KubernetesObject, find: Find): Field[] {
  return fieldsHolding(resource, object, find).filter(
    ({ locked, pointer }) => locked === null && pointer[0] !== 'status',
  )
}

function replacing({ pointer, encoded }: Pick<Field, 'pointer' | 'encoded'>, text: string): JsonPatchOperation {
  const path = pointer.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  return { op: 'replace', path, value: encoded ? Buffer.from(text).toString('base64') : text }
}

function unchangedSince({ metadata }: KubernetesObject): JsonPatchOperation {
  return { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion }
}

/** A test that fails is answered as a patch that is invalid; only the object's own version tells the two apart. */
async function isChanged(api: KubernetesApi, path: string, before: KubernetesObject, error: unknown): Promise<boolean> {
  if (!(error instanceof ApiError) || (error.status !== 409 && error.status !== 422)) return false
  const now = await api.getOrNull(path)
  return now?.metadata.resourceVersion !== before.metadata.resourceVersion
}

function meanwhile({ resource, name }: Hit): OperatorError {
  return new OperatorError(`${resource} ${name} was changed by somebody else at the same moment.`, {
    means: 'It was left as it is now.',
    next: 'The same command again looks at it anew.',
  })
}
