import type { Settings } from '../../settings.ts'

/** An address that becomes another one: that of the machine in the network that carries the mesh, or the one in the mesh. */
export interface Move {
  readonly of: 'underlay' | 'mesh'
  readonly from: string
  readonly to: string
}

/** Which of the node's addresses change with this migration. */
export function movesOf(
  settings: Pick<Settings, 'nodeAddress' | 'newNodeAddress' | 'meshAddress' | 'newMeshAddress'>,
): Move[] {
  const { nodeAddress, newNodeAddress, meshAddress, newMeshAddress } = settings
  const move = (of: Move['of'], from: string | undefined, to: string | undefined): Move[] =>
    from === undefined || to === undefined || from === to ? [] : [{ of, from, to }]
  return [...move('underlay', nodeAddress, newNodeAddress), ...move('mesh', meshAddress, newMeshAddress)]
}
