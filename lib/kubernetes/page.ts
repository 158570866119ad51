const quote = 0x22
const backslash = 0x5c
const newline = 0x0a
const comma = 0x2c
const openBrace = 0x7b
const openBracket = 0x5b
const closeBrace = 0x7d
const closeBracket = 0x5d

/** So many bytes of a string are looked at here before a native search goes on: for a short one its call costs more than it saves. */
const nativeSearchAfter = 64

/** One page of a list, cut into its objects without parsing them: numbers, key order and escapes stay the server's. */
export interface Page {
  /** JSON Lines: each object, with its apiVersion and kind, and a newline. */
  lines: Buffer
  count: number
  /** '' on the last page */
  continueToken: string
}

/**
 * Cuts the server's JSON of a list into its items. An item that carries no apiVersion and kind (as those of built-in types do not)
 * gets them in front, derived from the list's own.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#collections
 * @throws SyntaxError when the bytes are not a whole list, e.g. cut off
 */
export function cutPage(bytes: Buffer): Page {
  const { fields, items } = partsOf(bytes)
  if (items === undefined) throw new SyntaxError('a list without items')
  const apiVersion = textOf(bytes, fields.get('apiVersion'))
  const kind = textOf(bytes, fields.get('kind')).replace(/List$/, '')
  const metadata = fields.get('metadata')
  const continueToken = metadata === undefined ? '' : tokenIn(bytes.subarray(metadata.start, metadata.end))
  const named = Buffer.from(`{"apiVersion":${JSON.stringify(apiVersion)},"kind":${JSON.stringify(kind)},`)
  return { lines: linesOf(bytes, items, named), count: items.length, continueToken }
}

interface Span {
  start: number
  end: number
}

function textOf(bytes: Buffer, span: Span | undefined): string {
  return span === undefined ? '' : String(JSON.parse(bytes.toString('utf8', span.start, span.end)))
}

function tokenIn(metadata: Buffer): string {
  const parsed = JSON.parse(metadata.toString('utf8')) as { continue?: string }
  return parsed.continue ?? ''
}

/** Where the values of the list's own fields lie, and its items. They are found in one pass: a page is mostly items. */
function partsOf(bytes: Buffer): { fields: Map<string, Span>; items: Span[] | undefined } {
  const fields = new Map<string, Span>()
  let items: Span[] | undefined
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== openBrace) throw new SyntaxError('no JSON object')
  at = skipSpace(bytes, at + 1)
  while (bytes[at] === quote) {
    const keyEnd = endOfString(bytes, at)
    const name = bytes.toString('utf8', at + 1, keyEnd - 1)
    const start = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1)
    if (name === 'items') items = []
    const end = items && name === 'items' ? findItems(bytes, start, items) : endOfValue(bytes, start)
    fields.set(name, { start, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1)
  }
  if (bytes[at] !== closeBrace) throw new SyntaxError('the JSON ends too early')
  return { fields, items }
}

/** @returns the offset after the array that begins at `from`; of a list that was never filled it is null */
function findItems(bytes: Buffer, from: number, items: Span[]): number {
  if (bytes[from] !== openBracket) {
    const end = endOfScalar(bytes, from)
    if (bytes.toString('latin1', from, end) !== 'null') throw new SyntaxError('the items are no list')
    return end
  }
  let at = skipSpace(bytes, from + 1)
  while (bytes[at] === openBrace) {
    const end = endOfValue(bytes, at)
    items.push({ start: at, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1)
  }
  if (at >= bytes.length) throw new SyntaxError('the JSON ends too early')
  if (bytes[at] !== closeBracket) throw new SyntaxError('an item of the list is no object')
  return at + 1
}

/** @param named the beginning of an object that does not name itself, up to its own first field */
function linesOf(bytes: Buffer, items: readonly Span[], named: Buffer): Buffer {
  const lines = Buffer.allocUnsafe(items.reduce((sum, { start, end }) => sum + end - start + named.length + 1, 0))
  let at = 0
  for (const { start, end } of items) {
    const own = namesItself(bytes, start)
    if (!own) at += named.copy(lines, at)
    const copied = bytes.copy(lines, at, own ? start : start + 1, end)
    makeOneLine(lines, at, at + copied)
    at += copied
    lines[at++] = newline
  }
  return lines.subarray(0, at)
}

/** JSON strings hold no raw line breaks, so any there is stands between two tokens, and a space means the same. */
function makeOneLine(lines: Buffer, from: number, to: number): void {
  const object = lines.subarray(from, to)
  for (let at = object.indexOf(newline); at !== -1; at = object.indexOf(newline, at)) object[at] = 0x20
}

/**
 * Whether an object carries its apiVersion and kind. Looks at its first few fields only: a server writes the two in front, or sorts
 * the fields; one of a built-in type in a list begins with metadata.
 */
function namesItself(bytes: Buffer, start: number): boolean {
  let seen = 0
  let at = skipSpace(bytes, start + 1)
  while (bytes[at] === quote && seen < 2) {
    const keyEnd = endOfString(bytes, at)
    const key = bytes.toString('latin1', at + 1, keyEnd - 1)
    if (key === 'metadata' && seen === 0) return false
    if (key === 'apiVersion' || key === 'kind') seen++
    at = skipSpace(bytes, endOfValue(bytes, skipSpace(bytes, skipSpace(bytes, keyEnd) + 1)))
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1)
  }
  return seen === 2
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  for (let byte = bytes[at]; byte === 0x20 || byte === newline || byte === 0x0d || byte === 0x09; byte = bytes[at]) at++
  return at
}

/** @returns the offset after the value that begins at `from` */
function endOfValue(bytes: Buffer, from: number): number {
  const first = bytes[from]
  if (first === quote) return endOfString(bytes, from)
  if (first !== openBrace && first !== openBracket) return endOfScalar(bytes, from)
  let depth = 0
  let at = from
  const length = bytes.length
  while (at < length) {
    const byte = bytes[at] as number
    if (byte === quote) {
      at = endOfString(bytes, at)
      continue
    }
    // In ASCII the brackets are the braces without this bit: one comparison does for both.
    const bracket = byte | 0x20
    if (bracket === openBrace) depth++
    else if (bracket === closeBrace && --depth === 0) return at + 1
    at++
  }
  throw new SyntaxError('the JSON ends too early')
}

function endOfScalar(bytes: Buffer, from: number): number {
  let at = from
  for (let byte = bytes[at]; byte !== undefined; byte = bytes[++at]) {
    if (byte === comma || byte === closeBrace || byte === closeBracket || byte <= 0x20) return at
  }
  throw new SyntaxError('the JSON ends too early')
}

/** @returns the offset after the string whose opening quote is at `from` */
function endOfString(bytes: Buffer, from: number): number {
  const near = Math.min(from + 1 + nativeSearchAfter, bytes.length)
  let at = from + 1
  while (at < near) {
    const byte = bytes[at]
    if (byte === quote) return at + 1
    at += byte === backslash ? 2 : 1
  }
  for (let found = bytes.indexOf(quote, at); found !== -1; found = bytes.indexOf(quote, found + 1)) {
    if (!isEscaped(bytes, found)) return found + 1
  }
  throw new SyntaxError('the JSON ends too early')
}

function isEscaped(bytes: Buffer, at: number): boolean {
  let backslashes = 0
  while (bytes[at - 1 - backslashes] === backslash) backslashes++
  return backslashes % 2 === 1
}
