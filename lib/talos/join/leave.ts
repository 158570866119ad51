import * as z from 'zod'
import type { Condition, Migration, Undone } from '../../migration/migration.ts'
import type { Address } from '../../network/addresses.ts'
import { machineIdentity, sameMachine } from '../identity.ts'
import { lookAtMachine } from '../maintenance.ts'
import type { Talosctl } from '../talosctl.ts'
import { TalosctlError } from '../talosctl-error.ts'
import { type MemberState, memberStates } from './members.ts'
import { verifyMayLeave } from './quorum.ts'

/** What applyConfig has journaled of a machine. */
const joined = machineIdentity.extend({ kind: z.literal('machine-config'), address: z.string() })

/**
 * Takes a living member out of etcd in order: it hands the leadership over, and leaves; its data is deleted by itself. The quorum is
 * looked at once more right before. Source: Talos documentation, "Scaling Down"; `talosctl etcd leave`
 * @param through other control plane machines
 * @throws OperatorError with the arithmetic when the others would be no quorum
 */
export async function leaveEtcd(
  migration: Migration,
  talosctl: Talosctl,
  { hostname, address, id }: MemberState,
  through: readonly Address[],
): Promise<void> {
  const isThere = async () => {
    const members = await memberStates(talosctl, through)
    if (!members.some((member) => member.id === id)) return false
    verifyMayLeave(members, id)
    return true
  }
  await migration.change(`Have ${hostname} hand over the leadership of etcd, if it leads`, {
    apply: async () => {
      if (await isThere()) await talosctl.run({ address }, ['etcd', 'forfeit-leadership']).catch(unlessGone)
    },
  })
  await migration.change(`Have ${hostname} leave etcd`, {
    apply: async () => {
      // Its etcd waits for the others' agreement, which takes a while after an election.
      if (await isThere()) await talosctl.run({ address }, ['etcd', 'leave'], { deadline: 300 }).catch(unlessGone)
    },
  })
}

/**
 * Removes a dead machine's member from etcd, by order of another.
 * @throws OperatorError with the arithmetic when the living are no quorum
 */
export async function removeMember(
  migration: Migration,
  talosctl: Talosctl,
  { hostname, address, id }: MemberState,
  through: readonly Address[],
): Promise<void> {
  await migration.change(`Remove ${hostname || id}, which is dead, from etcd`, {
    apply: async () => {
      const members = await memberStates(talosctl, through)
      if (!members.some((member) => member.id === id)) return
      verifyMayLeave(members, id)
      const living = members.find((member) => member.problem === null && member.address !== address)
      await talosctl.run({ address: living?.address ?? address }, ['etcd', 'remove-member', id]).catch(unlessGone)
    },
  })
}

/** Waits until etcd knows the member no more and all others are well. */
export function memberGone(
  talosctl: Talosctl,
  { hostname, id }: Pick<MemberState, 'hostname' | 'id'>,
  through: readonly Address[],
  timeoutSeconds: number,
): Condition<true> {
  return {
    name: `${hostname || id} is no member of etcd any more, and the others are well`,
    timeoutSeconds,
    hint: 'talosctl etcd members; talosctl etcd status',
    probe: async () => {
      const members = await memberStates(talosctl, through)
      if (members.some((member) => member.id === id)) return { met: false, saw: 'it is still a member' }
      const sick = members.find(({ problem }) => problem !== null)
      return sick ? { met: false, saw: `${sick.hostname}: ${sick.problem}` } : { met: true, value: true }
    },
  }
}

/**
 * Switches a machine off that has left. With its config it would join again when it starts.
 * @param empty its disk is emptied too
 */
export async function switchOff(
  migration: Migration,
  talosctl: Talosctl,
  { hostname, address }: Pick<MemberState, 'hostname' | 'address'>,
  empty: boolean,
): Promise<void> {
  const reset = ['reset', '--graceful=false', '--wait=false', '--system-labels-to-wipe', 'STATE']
  const args = empty ? [...reset, '--system-labels-to-wipe', 'EPHEMERAL'] : ['shutdown', '--wait=false', '--force']
  await migration.change(`${empty ? 'Empty the disk of' : 'Shut down'} ${hostname} (${address})`, {
    undo: { kind: 'power', address, node: hostname },
    apply: async () => {
      await talosctl.run({ address }, args).catch(unlessGone)
    },
  })
}

/**
 * Takes a joined machine out again: it drains, leaves etcd, and is emptied, by Talos' own graceful reset. One that is off and no member has done
 * so before.
 * @param through other control plane machines
 */
export async function undoJoin(talosctl: Talosctl, undo: unknown, through: readonly Address[]): Promise<Undone> {
  const { address: written, ...identity } = joined.parse(undo)
  const address = written as Address
  const seen = await lookAtMachine(talosctl, address)
  if (seen.state === 'maintenance') return 'already'
  const isOther = seen.state === 'running' && !sameMachine(seen.identity, identity)
  if (seen.state === 'foreign' || isOther) return `conflict: ${seen.saw}`
  const members = await memberStates(talosctl, [...through, address])
  const own = members.find((member) => member.address === address)
  if (seen.state === 'silent') {
    return own
      ? `conflict: it does not answer, and is a member of etcd still (${seen.saw}): task migrate:leave NODE=${own.hostname}`
      : 'already'
  }
  if (own) verifyMayLeave(members, own.id)
  const labels = ['STATE', 'EPHEMERAL'].flatMap((label) => ['--system-labels-to-wipe', label])
  await talosctl.run({ address }, ['reset', '--graceful', '--reboot', '--wait=false', ...labels]).catch(unlessGone)
  return 'undone'
}

/** What it was told to do may have taken its answer away; whether it did is looked at afterwards. */
function unlessGone(error: unknown): undefined {
  if (!(error instanceof TalosctlError)) throw error
  if (error.transient || error.reason === 'not-found' || /only one member/.test(error.means ?? '')) return undefined
  throw error
}
