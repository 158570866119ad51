/** Columns are not made narrower than this: below it a sentence is a ladder of words. */
const narrowest = 20
const gap = 2

/** Between words, but not within a command that is to be typed. */
const seams = / (?!(?<=\btask )(?:migrate|talos):)/

/**
 * Breaks a text into lines of at most so many characters, between words; a word that is longer than a line is broken after a slash, a comma, a dash or a dot if it
 * has one, else anywhere.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(seams)) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    const pieces = broken(word, width)
    lines.push(...pieces.slice(0, -1))
    line = pieces.at(-1) ?? ''
  }
  return [...lines, line]
}

/**
 * A text behind what stands before it, the lines that it needs more below each other. What is indented was laid out by whoever says it, and stays so.
 * @param width in characters, what stands before included; Infinity: as it is
 */
export function hang(before: string, text: string, width: number): string[] {
  if (width === Number.POSITIVE_INFINITY || text.startsWith(' ')) return [before + text]
  const lines = text.split('\n').flatMap((line) => wrap(line, width - before.length))
  return lines.map((line, i) => (i === 0 ? before : ' '.repeat(before.length)) + line)
}

function broken(word: string, width: number): string[] {
  const pieces: string[] = []
  let rest = word
  while (rest.length > width) {
    const seam = Math.max(...['/', ',', '-', '.'].map((mark) => rest.lastIndexOf(mark, width - 1))) + 1
    const end = seam > width / 2 ? seam : width
    pieces.push(rest.slice(0, end))
    rest = rest.slice(end)
  }
  return [...pieces, rest]
}

/**
 * How wide each column of a table may be, so that all of them fit: the widest give up first.
 * @param natural as wide as their widest cell
 * @returns undefined when they would be too narrow to be read
 */
export function fitColumns(natural: readonly number[], width: number): number[] | undefined {
  const room = width - gap * (natural.length - 1)
  let widest = Math.max(...natural)
  const capped = () => natural.map((each) => Math.min(each, widest))
  const sum = () => capped().reduce((total, each) => total + each, 0)
  while (sum() > room) {
    widest -= 1
    if (widest < narrowest) return undefined
  }
  return capped()
}
