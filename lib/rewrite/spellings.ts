import ipaddr from 'ipaddr.js'
import { type Boundary, dashed, dotted, hexNumber, hexTail, isApart, labels } from './boundaries.ts'
import { spellingsOfIPv6 } from './ipv6.ts'
import type { Mapping } from './mapping.ts'

/** One place in latin1 text that holds an old address. */
export interface Hit {
  readonly start: number
  readonly end: number
  readonly becomes: string
  /** how it is written there */
  readonly spelling: string
}

/** Text that is the address but for what stands around it: a version, a longer number, a longer name. */
export type Lookalike = Pick<Hit, 'start' | 'end'>

/** One way of writing an address. */
export interface Spelling {
  readonly name: string
  /** global; the address itself, without what must stand around it */
  readonly pattern: RegExp
  /** undefined: the match is another address */
  readonly becomes: (match: RegExpMatchArray) => string | undefined
  readonly boundary: Boundary
}

/** Dots may be escaped, once or several times, as in regular expressions and in those inside of strings, or as in URLs. */
const dot = String.raw`(\\{0,4}\.|\[\.\]|%2[Ee])`
const endsName = '(?![0-9A-Za-z-])'
/** Services that resolve a name to the address in it. Source: https://nip.io, https://sslip.io */
const wildcardDns = String.raw`(?=\\{0,4}\.(?:nip|sslip|xip)\\{0,4}\.io${endsName})`
const reverseZone = String.raw`(?=\\{0,4}\.in-addr\\{0,4}\.arpa${endsName})`

/** Every way of writing the mapping's old address. */
export function spellingsOf({ from, to }: Mapping): Spelling[] {
  return ipaddr.parse(from).kind() === 'ipv6' ? spellingsOfIPv6(from, to) : spellingsOfIPv4(from, to)
}

function spellingsOfIPv4(from: string, to: string): Spelling[] {
  const [old, fresh] = [from.split('.'), to.split('.')]
  const [oldHex, freshHex] = [hexOf(old), hexOf(fresh)]
  const reversed = `${old.toReversed().join(dot)}${reverseZone}`
  const groups = halves(oldHex).map((group) => `0{0,3}${group}`)
  const asGroups = `(?<=(?:::ffff:|64:ff9b::))${groups.join(':')}`
  return [
    { name: 'dotted', pattern: new RegExp(old.join(dot), 'g'), becomes: joined(fresh), boundary: dotted },
    { name: 'nip.io', pattern: ignoringCase(old.join(dot) + wildcardDns), becomes: joined(fresh), boundary: labels },
    { name: 'nip.io', pattern: ignoringCase(oldHex + wildcardDns), becomes: inCase(freshHex), boundary: labels },
    { name: 'dashed', pattern: new RegExp(old.join('(-)'), 'g'), becomes: joined(fresh), boundary: dashed },
    { name: 'reverse DNS', pattern: ignoringCase(reversed), becomes: joined(fresh.toReversed()), boundary: labels },
    { name: 'hex', pattern: ignoringCase(`(?<=0x)${oldHex}`), becomes: inCase(freshHex), boundary: hexNumber },
    {
      name: 'in IPv6',
      pattern: ignoringCase(asGroups),
      becomes: inCase(halves(freshHex).join(':')),
      boundary: hexTail,
    },
  ]
}

function ignoringCase(pattern: string): RegExp {
  return new RegExp(pattern, 'gi')
}

/** New parts, with what stood between the old ones. */
function joined(fresh: readonly string[]): Spelling['becomes'] {
  return (match) => fresh.map((part, at) => (at === 0 ? part : (match[at] ?? '') + part)).join('')
}

/** In upper case where the old one was. */
export function inCase(fresh: string): Spelling['becomes'] {
  return ([was]) => (/[A-F]/.test(was) ? fresh.toUpperCase() : fresh)
}

function hexOf(parts: readonly string[]): string {
  return parts.map((part) => Number(part).toString(16).padStart(2, '0')).join('')
}

/** As the last two groups of an IPv6 address. */
function halves(hex: string): string[] {
  return [hex.slice(0, 4), hex.slice(4)].map((group) => Number.parseInt(group, 16).toString(16))
}

/**
 * All hits in a text, in their order, and what only looks like one. All are found in the old text before any is replaced, so that swapped
 * addresses do not meet twice.
 * @param text latin1, one character a byte
 */
export function findIn(text: string, spellings: readonly Spelling[]): { hits: Hit[]; lookalikes: Lookalike[] } {
  const hits: Hit[] = []
  const others: Lookalike[] = []
  for (const { name, pattern, becomes, boundary } of spellings) {
    pattern.lastIndex = 0
    // matchAll would make, and compile, a new expression each time.
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const [start, end] = [match.index, match.index + match[0].length]
      const fresh = becomes(match)
      if (fresh === undefined) continue
      const spelling = name === 'dotted' && /[\\[%]/.test(match[0]) ? 'escaped' : name
      if (isApart(text, start, end, boundary)) hits.push({ start, end, becomes: fresh, spelling })
      else if (!isInNumber(text, start, end)) others.push({ start, end })
    }
  }
  hits.sort((a, b) => a.start - b.start)
  const taken = new Set(hits.map(({ start }) => start))
  return { hits, lookalikes: others.filter(({ start }) => !taken.has(start)) }
}

/** 192.168.1.540 does not even look like it. */
function isInNumber(text: string, start: number, end: number): boolean {
  return /[0-9]/.test(text[start - 1] ?? '') || /[0-9]/.test(text[end] ?? '')
}
