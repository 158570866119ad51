import ipaddr from 'ipaddr.js'
import { OperatorError } from '../migration/errors.ts'

declare const checked: unique symbol

/** An IPv4 or IPv6 address in its shortest written form, so that two of them are the same machine exactly when the texts are. */
export type Address = string & { readonly [checked]: 'address' }

/**
 * Reads an address as an operator writes it.
 * @param text an IPv4 address of four decimal parts, or an IPv6 address without zone; no port, no name
 * @param origin where the text comes from (a variable, a file), for the error
 * @throws OperatorError (exit code 2) for anything else, also for `192.168.1` or `0300.1.1.1`, which RFC 4001 parsers accept
 */
export function parseAddress(text: string, origin: string): Address {
  const trimmed = text.trim()
  const four = ipaddr.IPv4.isValidFourPartDecimal(trimmed)
  const six = trimmed.includes(':') && !trimmed.includes('%') && ipaddr.IPv6.isValid(trimmed)
  if (four || six) return ipaddr.parse(trimmed).toString() as Address
  throw new OperatorError(`${origin} is not an IP address: ${text === '' ? '(empty)' : text}`, {
    means: 'Machines are reached by address, for the name of one may point at the other while they are being swapped.',
    next: `Set ${origin} to an address such as 192.168.1.54, without a port.`,
    exitCode: 2,
  })
}

/** Whether the address is on this very machine's loopback (127.0.0.0/8 or ::1), as those of a rehearsal are. */
export function isLoopback(address: Address): boolean {
  return ipaddr.parse(address).range() === 'loopback'
}

/** The same address, written in whatever way: `::ffff:10.0.0.1` is `10.0.0.1`. */
export function sameAddress(one: string, other: string): boolean {
  if (!ipaddr.isValid(one) || !ipaddr.isValid(other)) return one === other
  return ipaddr.process(one).toString() === ipaddr.process(other).toString()
}

/** A machine that gets another address: from which, to which. */
export interface Move {
  readonly from: Address
  readonly to: Address
}

/** Whose address it is, if it is one of those that change. */
export function moveOf(address: string, moves: readonly Move[]): Move | undefined {
  return moves.find(({ from }) => sameAddress(address, from))
}

/**
 * What stands for a machine in a list of endpoints: an address, alone or with a port (`192.168.1.54:50000`, `[fd00::54]:50000`).
 * @returns the same with the new address; undefined when it is another machine's, or a name
 */
export function movedHost(text: string, moves: readonly Move[]): string | undefined {
  const alone = moveOf(text, moves)
  if (alone) return alone.to
  const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:[\]]+)(:\d+)?$/.exec(text) ?? []
  const move = moveOf(host.replace(/^\[(.*)\]$/, '$1'), moves)
  return move && `${inUrl(move.to)}${port}`
}

/** As movedHost, of a URL: nothing else of it changes, however it is written. */
export function movedUrl(url: string, moves: readonly Move[]): string | undefined {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)(.*)$/i.exec(url) ?? []
  const moved = movedHost(authority, moves)
  return moved && `${scheme}${moveOf(authority, moves) ? inUrl(moved) : moved}${rest}`
}

/** Source: https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2 */
function inUrl(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
