import ipaddr from 'ipaddr.js'
import { type Boundary, dashed, hexNumber, labels, never } from './boundaries.ts'
import { inCase, type Spelling } from './spellings.ts'

const tail = String.raw`(?:\d{1,3}(?:\.\d{1,3}){3})?`
const groups = '(?:[0-9A-Fa-f]{1,4}|:)(?::[0-9A-Fa-f]{0,4}){1,7}'
/** Nothing of an address before it, unless that is a key with its colon, or an escape. */
const begins = String.raw`(?:(?<![0-9A-Za-z:.])|(?<=[G-Zg-z_"'][0-9A-Fa-f]{0,20}:)|(?<=\\[nrt]))`
/** One colon behind it is not its own. */
const colons = new RegExp(`${begins}${groups}${tail}(?<![^:]:)`, 'g')

/** Every way of writing an IPv6 address: compressed or not, in either case, and in names. Source: RFC 4291 section 2.2, RFC 3596. */
export function spellingsOfIPv6(from: string, to: string): Spelling[] {
  const [old, fresh] = [ipaddr.IPv6.parse(from), ipaddr.IPv6.parse(to)]
  const [oldHex, freshHex] = [hexOf(old), hexOf(fresh)]
  const reversed = (hex: string) => [...hex].toReversed()
  return [
    {
      name: 'IPv6',
      pattern: colons,
      becomes: ([text]) => (isSame(text, from) ? inCase(to)([text]) : undefined),
      boundary: apart,
    },
    {
      name: 'sslip.io',
      pattern: new RegExp(`${from.replaceAll(':', '-')}(?=\\.(?:nip|sslip)\\.io)`, 'gi'),
      becomes: inCase(to.replaceAll(':', '-')),
      boundary: { ...dashed, notBehind: never },
    },
    {
      name: 'reverse DNS',
      pattern: new RegExp(`${reversed(oldHex).join('\\.')}(?=\\.ip6\\.arpa)`, 'gi'),
      becomes: inCase(reversed(freshHex).join('.')),
      boundary: labels,
    },
    { name: 'hex', pattern: new RegExp(`(?<=0x)${oldHex}`, 'gi'), becomes: inCase(freshHex), boundary: hexNumber },
  ]
}

const apart: Boundary = { notBefore: never, notBehind: /^(?:[0-9A-Za-z]|:[0-9A-Fa-f:]|\.[0-9A-Za-z])/ }

function isSame(text: string, address: string): boolean {
  return ipaddr.IPv6.isValid(text) && ipaddr.IPv6.parse(text).toString() === address
}

function hexOf(address: ipaddr.IPv6): string {
  return address.parts.map((part) => part.toString(16).padStart(4, '0')).join('')
}
