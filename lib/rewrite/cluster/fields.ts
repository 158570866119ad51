import type { KubernetesObject } from '../../kubernetes/api.ts'

/** A place in a text where an address stands, and what is to stand there. */
export interface Found {
  readonly start: number
  readonly end: number
  readonly becomes: string
}

/** Finds an address in a text, in order and without overlap. */
export type Find = (text: string) => readonly Found[]

/** One edit of a field's text: at which place, what stood there, and what stands there afterwards. */
export type Edit = { at: number; before: string; after: string }

/** A string of an object that holds the address. Its text is not kept, for it may be a Secret's. */
export type Field = {
  /** as a JSON pointer, in its parts */
  pointer: (string | number)[]
  /** the text is base64 in the object: a Secret's data, a ConfigMap's binaryData */
  encoded: boolean
  edits: Edit[]
  /** why this very field is not to be edited; null when it may be */
  locked: string | null
}

/** What an object of this type holds is what Helm has installed, packed: Helm writes the next one itself. */
export const helmRecord = 'helm.sh/release.v1'

/**
 * Every string of an object that holds the address, keys included. The values of a Secret are looked into as what they decode to; what is no text in there is
 * passed over. Which client wrote which field (managedFields) is none of the object's content.
 * @param resource `configmaps`, `deployments.apps`
 */
export function fieldsHolding(resource: string, object: KubernetesObject, find: Find): Field[] {
  const fields: Field[] = []
  const encodedIn = resource === 'secrets' ? 'data' : resource === 'configmaps' ? 'binaryData' : undefined
  const note = (pointer: (string | number)[], text: string, encoded: boolean, isKey: boolean) => {
    const found = find(text)
    if (found.length === 0) return
    const edits = found.map(({ start, end, becomes }) => ({
      at: start,
      before: text.slice(start, end),
      after: becomes,
    }))
    fields.push({ pointer, encoded, edits, locked: whyLocked(object, pointer, isKey) ?? whyRange(text, found) ?? null })
  }
  const visit = (value: unknown, pointer: (string | number)[]): void => {
    if (typeof value === 'string') {
      const encoded = pointer.length === 2 && pointer[0] === encodedIn
      const text = encoded ? decoded(value) : value
      if (text !== undefined) note(pointer, text, encoded, false)
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => {
        visit(item, [...pointer, index])
      })
    } else if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) {
        if (pointer.length === 1 && pointer[0] === 'metadata' && key === 'managedFields') continue
        note([...pointer, key], key, false, true)
        visit(inner, [...pointer, key])
      }
    }
  }
  if (object.type !== helmRecord) visit(object, [])
  return fields
}

/** `spec.rules[0].host`, `data["talosconfig"]`: where in the object, as kubectl's jsonpath has it. */
export function shownPointer(pointer: readonly (string | number)[]): string {
  return pointer
    .map((part) => (typeof part === 'number' ? `[${part}]` : /^\w+$/.test(part) ? `.${part}` : `["${part}"]`))
    .join('')
    .replace(/^\./, '')
}

/** The text at a pointer, decoded where it is encoded; undefined when there is none. */
export function textAt(
  object: KubernetesObject,
  { pointer, encoded }: Pick<Field, 'pointer' | 'encoded'>,
): string | undefined {
  const value = pointer.reduce<unknown>(
    (at, part) => (at !== null && typeof at === 'object' ? (at as Record<string, unknown>)[String(part)] : undefined),
    object,
  )
  if (typeof value !== 'string') return undefined
  return encoded ? decoded(value) : value
}

/** The text with its edits made, or taken back; undefined when what the edits start from does not stand there. */
export function edited(text: string, edits: readonly Edit[], direction: 'make' | 'take back'): string | undefined {
  let result = ''
  let from = 0
  let shift = 0
  for (const { at, before, after } of edits) {
    const [stands, put] = direction === 'make' ? [before, after] : [after, before]
    const start = direction === 'make' ? at : at + shift
    if (!text.startsWith(stands, start)) return undefined
    result += text.slice(from, start) + put
    from = start + stands.length
    shift += after.length - before.length
  }
  return result + text.slice(from)
}

function decoded(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : undefined
}

function whyLocked(
  { immutable }: KubernetesObject,
  pointer: readonly (string | number)[],
  isKey: boolean,
): string | undefined {
  if (isKey) return 'it is a name in the object, not a value'
  const [first, second] = pointer
  if (first === 'metadata' && second !== 'labels' && second !== 'annotations') return 'no object can be renamed'
  return immutable === true ? 'it is immutable: make it anew' : undefined
}

const address = String.raw`(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]+)`
const rangeGoesOn = new RegExp(`^\\s*-\\s*${address}`, 'i')
const rangeBegan = new RegExp(`${address}\\s*-\\s*$`, 'i')

/** An address that begins or ends a range of them (`192.168.1.54-192.168.1.60`) is a decision about the range. */
function whyRange(text: string, found: readonly Found[]): string | undefined {
  const isBound = found.some(
    ({ start, end }) => rangeGoesOn.test(text.slice(end)) || rangeBegan.test(text.slice(0, start)),
  )
  return isBound ? 'it is the bound of a range: say yourself which range it is to be' : undefined
}
