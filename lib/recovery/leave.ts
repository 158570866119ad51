import type { KubernetesApi } from '../kubernetes/api.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { sameAddress } from '../network/addresses.ts'
import { machineIsOff } from '../network/ports.ts'
import { waysIn } from '../talos/join/endpoints.ts'
import { kubeconfigFor } from '../talos/join/kubeconfig.ts'
import { leaveEtcd, memberGone, removeMember, switchOff } from '../talos/join/leave.ts'
import { addressesOf, type MemberState, memberOf, memberStates } from '../talos/join/members.ts'
import { describeTolerance, verifyMayLeave } from '../talos/join/quorum.ts'
import { lookAtMachine } from '../talos/maintenance.ts'
import type { Talosctl } from '../talos/talosctl.ts'
import { emptyNode, pointTo, type Tools } from './join.ts'

/** A control plane that is to go, and the others, which stay. */
export interface Leaving {
  readonly name: string
  /** null: etcd knows it no more, an earlier call has come that far */
  readonly member: MemberState | null
  readonly others: readonly MemberState[]
  /** whether its machine answers, and so can be told to leave */
  readonly answers: boolean
  /** the text of a kubeconfig that goes to one of the others */
  readonly kubeconfig: string
}

/**
 * Finds the member of NODE, and says whether it may go.
 * @throws OperatorError with the arithmetic when etcd would lose its quorum; with exit code 2 when no such control plane is known
 */
export async function findLeaving(migration: Migration, talosctl: Talosctl): Promise<Leaving> {
  const { settings, flags } = migration
  const { node: name, ip } = settings
  if (name === undefined) throw unnamed()
  const members = await memberStates(talosctl, await waysIn(settings))
  const member = memberOf(members, { name, address: ip as MemberState['address'] | undefined }) ?? null
  const others = members.filter((each) => each !== member)
  const stays = others.find(({ problem }) => problem === null)
  if (member === null && migration.recall(factOf(name), anything) === undefined) throw unknown(name, members)
  if (member) {
    verifyMayLeave(members, member.id)
    if (flags['even-the-endpoint'] !== true) refuseEndpoint(settings.clusterEndpoint, member)
  }
  if (!stays) throw unknown(name, members)
  const answers = member !== null && (await lookAtMachine(talosctl, member.address)).state === 'running'
  return { name, member, others, answers, kubeconfig: await kubeconfigFor(settings.kubeconfig, stays) }
}
