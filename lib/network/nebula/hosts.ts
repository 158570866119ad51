import { isMap, isScalar, isSeq, parseDocument, type Scalar } from 'yaml'
import type { Move } from './moves.ts'

/** One address in a config file that is to be another. */
export interface HostEdit {
  /** `static_host_map: 10.42.1.1 at 192.168.1.54:4242` */
  readonly entry: string
  /** characters from the beginning of the text */
  readonly offset: number
  readonly from: string
  readonly to: string
}

/** Where a config holds addresses of hosts, and of which kind they are. Source: https://nebula.defined.net/docs/config/ */
const places: readonly { path: readonly string[]; keys?: Move['of']; values: Move['of'] }[] = [
  { path: ['static_host_map'], keys: 'mesh', values: 'underlay' },
  { path: ['lighthouse', 'hosts'], values: 'mesh' },
  { path: ['lighthouse', 'advertise_addrs'], values: 'underlay' },
  { path: ['relay', 'relays'], values: 'mesh' },
  { path: ['listen', 'host'], values: 'underlay' },
]

interface Found {
  scalar: Scalar
  of: Move['of']
  entry: string
}

/**
 * The addresses in the text of a Nebula config that the moves change: of hosts alone, never in a comment, a rule or a path.
 * What stands around them stays as it is.
 */
export function hostEdits(text: string, moves: readonly Move[]): HostEdit[] {
  const document = parseDocument(text)
  if (document.errors.length > 0) return []
  const found = places.flatMap(({ path, keys, values }) =>
    scalarsBelow(document.getIn(path, true), path.join('.'), values, keys),
  )
  const edits = found.flatMap(({ scalar, of, entry }) => {
    const move = moves.find((each) => each.of === of && each.from === hostOf(String(scalar.value)))
    if (move === undefined || !scalar.range) return []
    const offset = text.indexOf(move.from, scalar.range[0])
    return offset < 0 || offset >= scalar.range[1] ? [] : [{ entry, offset, from: move.from, to: move.to }]
  })
  return edits.toSorted((one, other) => one.offset - other.offset)
}

/** The text with the edits made. */
export function withEdits(text: string, edits: readonly Pick<HostEdit, 'offset' | 'from' | 'to'>[]): string {
  let result = ''
  let done = 0
  for (const { offset, from, to } of edits) {
    result += text.slice(done, offset) + to
    done = offset + from.length
  }
  return result + text.slice(done)
}

/** The edits that take these back, at the places where the addresses stand once those were made. */
export function inverse(edits: readonly Pick<HostEdit, 'offset' | 'from' | 'to'>[]) {
  let shift = 0
  return edits.map(({ offset, from, to }) => {
    const back = { offset: offset + shift, from: to, to: from }
    shift += to.length - from.length
    return back
  })
}

function scalarsBelow(node: unknown, entry: string, values: Move['of'], keys?: Move['of']): Found[] {
  if (isScalar(node)) return [{ scalar: node, of: values, entry: `${entry}: ${node.value}` }]
  if (isSeq(node)) return node.items.flatMap((item) => scalarsBelow(item, entry, values))
  if (!isMap(node)) return []
  return node.items.flatMap(({ key, value }) => {
    const below = scalarsBelow(value, isScalar(key) ? `${entry}: ${key.value} at` : entry, values).map((found) => ({
      ...found,
      entry: found.entry.replace(' at: ', ' at '),
    }))
    return keys && isScalar(key) ? [{ scalar: key, of: keys, entry: `${entry}: ${key.value}` }, ...below] : below
  })
}

/** The host of HOST, HOST:PORT or [HOST]:PORT. */
function hostOf(text: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(text)
  if (bracketed) return bracketed[1] ?? ''
  const parts = text.split(':')
  return parts.length === 2 ? (parts[0] ?? '') : text
}
