import { type Address, parseAddress } from '../../network/addresses.ts'
import type { Settings } from '../../settings.ts'
import { liveMachineConfig, type MachineConfig, parseMachineConfig } from '../machine-config.ts'
import { type Talosctl, talosVersion } from '../talosctl.ts'
import { type Candidate, extensionsOf, lookAtCandidate } from './candidate.ts'
import { joiningConfig } from './config.ts'
import { waysIn } from './endpoints.ts'
import { type MemberState, memberStates } from './members.ts'
import type { JoiningNode } from './nodes.ts'

/** All that a decision about one joining machine rests on. */
export interface JoinView {
  readonly node: JoiningNode
  readonly members: readonly MemberState[]
  /** the control plane machine whose config is the pattern */
  readonly pattern: { address: Address; config: MachineConfig; extensions: readonly string[]; talos: string }
  readonly candidate: Candidate
  /** what the machine is to be given */
  readonly wanted: MachineConfig
}

/**
 * Looks at the cluster and at the machine.
 * @throws OperatorError when no control plane machine answers
 */
export async function lookBeforeJoin(settings: Settings, talosctl: Talosctl, node: JoiningNode): Promise<JoinView> {
  const first = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const members = await memberStates(talosctl, await waysIn(settings))
  // The joining machine may be a member by now, and is never its own pattern.
  const well = members.filter(({ problem, address }) => problem === null && address !== node.address)
  const address = well.find((member) => member.address === first)?.address ?? well[0]?.address ?? first
  const config = parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${address}`)
  const pattern = {
    address,
    config,
    extensions: await extensionsOf(talosctl, { address }),
    talos: await talosVersion(talosctl, { address }),
  }
  const candidate = await lookAtCandidate(talosctl, node)
  return {
    node,
    members,
    pattern,
    candidate,
    wanted: await joiningConfig(settings, talosctl, config, { from: address, node }),
  }
}
