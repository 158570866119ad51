import { messageOf, OperatorError } from '../../migration/errors.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import { type EtcdMember, type EtcdStatus, etcdMembers, etcdStatus } from '../etcd.ts'
import type { Talosctl } from '../talosctl.ts'
import { seenIn, TalosctlError } from '../talosctl-error.ts'

/** A member of etcd with what its own machine says of it. */
export interface MemberState extends EtcdMember {
  /** of its machine, from its peer URL */
  readonly address: Address
  /** null: its machine did not tell */
  readonly status: EtcdStatus | null
  /** why it does not count as well; null: it does */
  readonly problem: string | null
}

// Seconds: a machine without power is asked, too.
const patience = 8
const noLeader = /^0*$/

/**
 * All members of etcd, each asked itself how it is.
 * @param through control plane machines to ask for the list, in this order
 * @throws OperatorError when none of them answers
 */
export async function memberStates(talosctl: Talosctl, through: readonly Address[]): Promise<MemberState[]> {
  const members = await listThrough(talosctl, through)
  return Promise.all(members.map((member) => stateOf(talosctl, member)))
}

/** The machines of the cluster's control plane, those that are well first: whom to ask for anything that any of them can tell. */
export function addressesOf(members: readonly MemberState[]): Address[] {
  const isWell = ({ problem }: MemberState) => problem === null
  return [...members].sort((a, b) => Number(isWell(b)) - Number(isWell(a))).map(({ address }) => address)
}

/** The member of the machine with this name or address. */
export function memberOf(
  members: readonly MemberState[],
  { name, address }: { name: string; address?: Address | undefined },
): MemberState | undefined {
  return (
    members.find((member) => member.hostname === name) ??
    members.find((member) => address !== undefined && member.address === address)
  )
}

async function listThrough(talosctl: Talosctl, through: readonly Address[]): Promise<EtcdMember[]> {
  const refusals: string[] = []
  for (const address of through) {
    try {
      return await etcdMembers(talosctl, { address }, patience)
    } catch (error) {
      // One that is not in etcd any more says so in its own way; another one is asked.
      if (!(error instanceof TalosctlError) || error.reason === 'talosconfig') throw error
      refusals.push(seenIn(error))
    }
  }
  throw new OperatorError('No control plane machine tells who is in etcd.', {
    means: `${refusals.join('; ')}. Nothing was changed.`,
    next: 'Look at their screens, and at TALOS_NODE.',
  })
}

async function stateOf(talosctl: Talosctl, member: EtcdMember): Promise<MemberState> {
  const address = parseAddress(hostOf(member), `the peer URL of ${member.hostname || member.id}`)
  try {
    const status = await etcdStatus(talosctl, { address }, patience)
    return { ...member, address, status, problem: problemOf(status) }
  } catch (error) {
    return { ...member, address, status: null, problem: messageOf(error).replace(/\.$/, '') }
  }
}

function problemOf(status: EtcdStatus | null): string | null {
  if (status === null) return 'it tells nothing of itself'
  if (noLeader.test(status.leader)) return 'it has no leader'
  return status.errors === '' ? null : status.errors
}

function hostOf({ peerUrls }: EtcdMember): string {
  const [url = ''] = peerUrls
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, '$1') : ''
}
