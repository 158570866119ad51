/** Bytes that become other bytes. Texts are latin1, one character a byte; `at` is the place in the file as it was. */
export interface PlainEdit {
  readonly at: number
  readonly was: string
  readonly becomes: string
}

/** Edits of what is written in base64. They are kept decoded: of the text around an address in a Secret nothing may be written down. */
export interface Base64Edit {
  readonly at: number
  /** characters of base64 before and after */
  readonly length: number
  readonly becomesLength: number
  readonly inner: readonly PlainEdit[]
}

export type Edit = PlainEdit | Base64Edit

/** @throws Error unless the bytes hold what the edits say they hold */
export function edited(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const parts: Buffer[] = []
  let place = 0
  for (const edit of edits) {
    parts.push(bytes.subarray(place, edit.at))
    const end = edit.at + lengthOf(edit)
    const there = bytes.toString('latin1', edit.at, end)
    parts.push(Buffer.from('inner' in edit ? inBase64(there, edit.inner) : plainly(there, edit), 'latin1'))
    place = end
  }
  parts.push(bytes.subarray(place))
  return Buffer.concat(parts)
}

/** The edits that lead back. */
export function inverted(edits: readonly Edit[]): Edit[] {
  let shift = 0
  return edits.map((edit) => {
    const at = edit.at + shift
    if ('inner' in edit) {
      shift += edit.becomesLength - edit.length
      const inner = inverted(edit.inner) as PlainEdit[]
      return { at, length: edit.becomesLength, becomesLength: edit.length, inner }
    }
    shift += edit.becomes.length - edit.was.length
    return { at, was: edit.becomes, becomes: edit.was }
  })
}

export function lengthOf(edit: Edit): number {
  return 'inner' in edit ? edit.length : edit.was.length
}

export function inBase64(text: string, edits: readonly PlainEdit[]): string {
  return edited(Buffer.from(text, 'base64'), edits).toString('base64')
}

function plainly(there: string, { at, was, becomes }: PlainEdit): string {
  if (there !== was) throw new Error(`not what was found: byte ${at}`)
  return becomes
}
