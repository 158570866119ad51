import { formatPatch, type StructuredPatchHunk } from 'diff'
import { type Edit, edited } from './edit.ts'

const longest = 300
const context = 3

/**
 * The unified diff of one file, made from the edits themselves, so that a large file takes no longer than a small one.
 * @param sensitive shows no line that is not changed; what is base64 is never shown
 * @param called the file's name
 */
export function diffOf(
  called: string,
  bytes: Buffer,
  edits: readonly Edit[],
  { sensitive }: { sensitive: boolean },
): string {
  const lines = new Lines(bytes.toString('latin1'))
  const around = sensitive ? 0 : context
  const groups = grouped(edits, lines, around)
  let shift = 0
  const hunks = groups.map((group) => {
    const hunk = hunkOf(group, bytes, lines, around, shift)
    shift += hunk.newLines - hunk.oldLines
    return hunk
  })
  const patch = {
    oldFileName: `a/${called}`,
    newFileName: `b/${called}`,
    oldHeader: '',
    newHeader: '',
    index: '',
    hunks,
  }
  return formatPatch(patch as Parameters<typeof formatPatch>[0])
    .replace(/^=+\n/m, '')
    .trimEnd()
}

/** Where a text's lines begin, looked up from places in it. */
class Lines {
  readonly text: string
  readonly #starts: number[] = [0]

  constructor(text: string) {
    this.text = text
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1)
    if (this.#starts.at(-1) === text.length && text.length > 0) this.#starts.pop()
  }

  get count(): number {
    return this.#starts.length
  }

  /** The line, counted from 0, that a byte is in. */
  at(place: number): number {
    let [low, high] = [0, this.#starts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= place) low = middle
      else high = middle - 1
    }
    return low
  }

  start(line: number): number {
    return this.#starts[line] ?? this.text.length
  }
}

function grouped(edits: readonly Edit[], lines: Lines, around: number): Edit[][] {
  const groups: Edit[][] = []
  for (const edit of edits) {
    const last = groups.at(-1)
    const before = last?.at(-1)
    if (last && before && lines.at(edit.at) - lines.at(before.at) <= 2 * around + 1) last.push(edit)
    else groups.push([edit])
  }
  return groups
}

function hunkOf(
  group: readonly Edit[],
  bytes: Buffer,
  lines: Lines,
  around: number,
  shift: number,
): StructuredPatchHunk {
  const [first, last] = [lines.at(group[0]?.at ?? 0), lines.at(group.at(-1)?.at ?? 0)]
  const [from, to] = [Math.max(0, first - around), Math.min(lines.count - 1, last + around)]
  const shownLines: string[] = []
  for (let line = from; line <= to; line++) {
    const own = group.filter(({ at }) => lines.at(at) === line)
    const [start, end] = [lines.start(line), lines.start(line + 1)]
    if (own.length === 0) shownLines.push(` ${readable(lines.text.slice(start, end))}`)
    else shownLines.push(...changedLine(bytes.subarray(start, end), moved(own, -start)))
  }
  const count = to - from + 1
  return { oldStart: from + 1, oldLines: count, newStart: from + 1 + shift, newLines: count, lines: shownLines }
}

function changedLine(line: Buffer, edits: readonly Edit[]): string[] {
  if (edits.every((edit) => !('inner' in edit))) {
    return [`-${readable(line.toString('latin1'))}`, `+${readable(edited(line, edits).toString('latin1'))}`]
  }
  // What surrounds an address in a Secret is none of the screen's business.
  const masked = (side: 'was' | 'becomes') => {
    const edit = edits.find((one) => 'inner' in one)
    const key = line.toString('latin1', 0, edit?.at ?? 0)
    const values = edits.flatMap((one) => ('inner' in one ? one.inner : [one]).map((inner) => inner[side]))
    return readable(`${key}(base64, with ${values.join(', ')})`)
  }
  return [`-${masked('was')}`, `+${masked('becomes')}`]
}

function moved(edits: readonly Edit[], by: number): Edit[] {
  return edits.map((edit) => ({ ...edit, at: edit.at + by }))
}

/** A line as a terminal can bear it. */
function readable(line: string): string {
  const text = Buffer.from(line.replace(/\r?\n$/, ''), 'latin1').toString()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are taken out
  const clean = text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '·')
  return clean.length <= longest ? clean : `${clean.slice(0, longest)}… (${clean.length} characters)`
}
