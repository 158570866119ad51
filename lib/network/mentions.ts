import ipaddr from 'ipaddr.js'
import { type Address, sameAddress } from './addresses.ts'

/**
 * The places of a text in which an address stands as an address: `192.168.1.54` in `https://192.168.1.54:6443` and in
 * `192.168.1.54/24`, and not in `192.168.1.540`, `1.192.168.1.54` or `node-192.168.1.54`. An IPv6 address is known in any spelling.
 */
function places(text: string, address: Address): RegExpMatchArray[] {
  if (!ipaddr.IPv6.isValid(address)) {
    const literal = address.replaceAll('.', '\\.')
    return [...text.matchAll(new RegExp(`(?<![\\w-]|\\d\\.)${literal}(?![\\w-]|\\.\\d)`, 'g'))]
  }
  return [...text.matchAll(/(?<![\w.:])[0-9a-f.:]*:[0-9a-f.:]*[0-9a-f](?![\w.])/gi)].filter((match) =>
    sameAddress(match[0], address),
  )
}

/** Whether a text holds the address in some spelling, also within a name: `ip-192-168-1-54.home`. */
export function mentions(text: string, address: Address): boolean {
  if (ipaddr.IPv6.isValid(address)) return places(text, address).length > 0
  return new RegExp(`(?<!\\d|\\d\\.)${address.replaceAll('.', '[.-]')}(?!\\d|\\.\\d)`).test(text)
}

/** The text with the one address in the place of the other; all else stays, also ports, prefixes and brackets. */
export function withAddress(text: string, old: Address, next: Address): string {
  return places(text, old).reduceRight(
    (result, match) => result.slice(0, match.index) + next + result.slice((match.index ?? 0) + match[0].length),
    text,
  )
}
