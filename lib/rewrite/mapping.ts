import ipaddr from 'ipaddr.js'
import { OperatorError } from '../migration/errors.ts'
import type { Flags } from '../migration/migration.ts'
import { type Address, type Move, parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'

/** One address that becomes another, both of the same family. */
export type Mapping = Move

/**
 * What is to become what: the old and new address of the node and of the mesh, and what --map adds (OLD=NEW, several with commas or several flags).
 * @throws OperatorError with exit code 2 when there is none, one is no address, two contradict each other, or families are mixed
 */
export function mappingsFrom(flags: Flags, settings: Settings): Mapping[] {
  const given = String(flags.map ?? '')
    .split(',')
    .filter((pair) => pair !== '')
    .map(parsePair)
  const all = new Map<string, Mapping>()
  for (const mapping of [...fromSettings(settings), ...given]) {
    const known = all.get(mapping.from)
    if (known !== undefined && known.to !== mapping.to) throw contradiction(known, mapping)
    if (mapping.from !== mapping.to) all.set(mapping.from, mapping)
  }
  if (all.size > 0) return [...all.values()]
  throw new OperatorError(
    'There is no address to replace: neither NEW_TALOS_NODE, NEW_MESH_ADDRESS nor --map is given.',
    {
      next: 'Set NEW_TALOS_NODE, or say it: task migrate:rewrite-ip -- --map 192.168.1.54=192.168.1.60',
      exitCode: 2,
    },
  )
}

/** As an operator reads it: `192.168.1.54 → 192.168.1.60, 10.42.1.1 → 10.42.1.2`. */
export function describeMappings(mappings: readonly Mapping[]): string {
  return mappings.map(({ from, to }) => `${from} → ${to}`).join(', ')
}

function fromSettings({ nodeAddress, newNodeAddress, meshAddress, newMeshAddress }: Settings): Mapping[] {
  return [
    ...(newNodeAddress === undefined ? [] : [mapping(nodeAddress, 'TALOS_NODE', newNodeAddress, 'NEW_TALOS_NODE')]),
    ...(meshAddress === undefined || newMeshAddress === undefined
      ? []
      : [mapping(meshAddress, 'MESH_ADDRESS', newMeshAddress, 'NEW_MESH_ADDRESS')]),
  ]
}

function parsePair(pair: string): Mapping {
  const [from, to, ...more] = pair.split('=')
  if (from !== undefined && to !== undefined && more.length === 0) return mapping(from, '--map', to, '--map')
  throw new OperatorError(`--map ${pair} is not OLD=NEW.`, {
    next: 'Give two addresses: --map 192.168.1.54=192.168.1.60',
    exitCode: 2,
  })
}

function mapping(from: string, fromOrigin: string, to: string, toOrigin: string): Mapping {
  const pair = { from: plain(parseAddress(from, fromOrigin)), to: plain(parseAddress(to, toOrigin)) }
  if (ipaddr.parse(pair.from).kind() === ipaddr.parse(pair.to).kind()) return pair
  throw new OperatorError(`${pair.from} and ${pair.to} are of different families.`, {
    means:
      'An IPv6 address needs brackets where an IPv4 address needs none, so that one cannot simply stand for the other.',
    next: 'Give two IPv4 or two IPv6 addresses.',
    exitCode: 2,
  })
}

/** `::ffff:192.168.1.54` is 192.168.1.54. */
function plain(address: Address): Address {
  return ipaddr.process(address).toString() as Address
}

function contradiction(one: Mapping, other: Mapping): OperatorError {
  return new OperatorError(`${one.from} cannot become both ${one.to} and ${other.to}.`, {
    means: 'NEW_TALOS_NODE and NEW_MESH_ADDRESS count as a --map of their own.',
    next: 'Say it once.',
    exitCode: 2,
  })
}
