import type { Settings } from '../../settings.ts'
import { type Address, parseAddress } from '../addresses.ts'

/** An address that becomes another one: that of the machine in the network that carries the mesh, or the one in the mesh. */
export interface Move {
  readonly of: 'underlay' | 'mesh'
  readonly from: Address
  readonly to: Address
}

/** Which of the node's addresses change with this migration. */
export function movesOf(
  settings: Pick<Settings, 'nodeAddress' | 'newNodeAddress' | 'meshAddress' | 'newMeshAddress'>,
): Move[] {
  const { nodeAddress, newNodeAddress, meshAddress, newMeshAddress } = settings
  const move = (of: Move['of'], old: string | undefined, next: string | undefined): Move[] => {
    if (old === undefined || next === undefined) return []
    const [from, to] = [parseAddress(old, 'the old address'), parseAddress(next, 'the new address')]
    return from === to ? [] : [{ of, from, to }]
  }
  return [...move('underlay', nodeAddress, newNodeAddress), ...move('mesh', meshAddress, newMeshAddress)]
}
