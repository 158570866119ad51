import { isIP } from 'node:net'
import { type Move, moveOf, sameAddress } from './addresses.ts'

/** A line of a hosts file: hosts(5). Comments and empty lines have no address. */
interface HostsLine {
  /** as it stands there, with its line end */
  readonly text: string
  readonly address?: string
  readonly names: readonly string[]
  readonly commented: boolean
}

/** A line that held the old address; `after` is null where the new address had all of its names already. */
export interface MovedLine {
  readonly before: string
  readonly after: string | null
}

/**
 * Gives the lines of an old address the new one; all others stay as they are, byte for byte, and in their order. A line whose names the
 * new address has already, and which has no comment, is left out. An address within a comment is not touched.
 * Source: https://man7.org/linux/man-pages/man5/hosts.5.html
 * @param text one character for each byte (latin1), so that whatever its encoding is comes out as it went in
 */
export function movedHosts(text: string, moves: readonly Move[]): { text: string; lines: MovedLine[] } {
  const lines = linesOf(text)
  const moved: MovedLine[] = []
  const edited = lines.map((line) => {
    const move = line.address === undefined ? undefined : moveOf(line.address, moves)
    if (line.address === undefined || move === undefined) return line.text
    const known = namesOf(lines, move.to)
    const redundant = !line.commented && line.names.length > 0 && line.names.every((name) => known.has(name))
    const after = redundant ? null : line.text.replace(line.address, () => move.to)
    moved.push({ before: line.text, after })
    return after ?? ''
  })
  return { text: edited.join(''), lines: moved }
}

/** Every name in a hosts file, with the addresses that it has there, in order. */
export function namesInHosts(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const { address, names } of linesOf(text)) {
    if (address === undefined) continue
    for (const name of names) found.set(name, [...new Set([...(found.get(name) ?? []), address])])
  }
  return found
}

function linesOf(text: string): HostsLine[] {
  return (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).map((line) => {
    const [, address = '', names = '', comment] = /^(?:\xef\xbb\xbf)?\s*([^\s#]+)([^#]*)(#.*)?/s.exec(line) ?? []
    if (isIP(address) === 0) return { text: line, names: [], commented: false }
    const words = names.split(/\s+/).filter((name) => name !== '')
    return { text: line, address, names: words.map((name) => name.toLowerCase()), commented: comment !== undefined }
  })
}

function namesOf(lines: readonly HostsLine[], wanted: string): Set<string> {
  const own = lines.filter(({ address }) => address !== undefined && sameAddress(address, wanted))
  return new Set(own.flatMap(({ names }) => names))
}
