import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { Condition, Probe } from '../../migration/migration.ts'
import type { Address } from '../../network/addresses.ts'
import type { KubernetesReader } from '../control-plane.ts'
import type { Talosctl } from '../talosctl.ts'
import { patiently } from '../talosctl-error.ts'
import { type MemberState, memberStates } from './members.ts'
import type { JoiningNode } from './nodes.ts'

/** A follower that is this many entries behind its leader is said to be up to date: etcd itself promotes at 90 %, which after a day is thousands. */
const mayLag = 100

/**
 * Waits until etcd knows the machine as a learner, or as more. A learner follows, and has no vote.
 * Source: https://etcd.io/docs/v3.6/learning/design-learner/
 * @param through the control plane machines that were there before
 */
export function learnerSeen(
  talosctl: Talosctl,
  node: JoiningNode,
  through: readonly Address[],
  timeoutSeconds: number,
): Condition<MemberState> {
  return {
    name: `${node.name} is in etcd, as a learner`,
    timeoutSeconds,
    everyMs: 250,
    hint: `Does it find the others? talosctl --nodes ${node.address} get members; talosctl --nodes ${node.address} logs etcd`,
    probe: () =>
      looking(talosctl, through, (members) => {
        const member = byPlace(members, node)
        if (member === undefined) return { met: false, saw: `members: ${members.map(nameOf).join(', ')}` }
        return { met: true, value: member, saw: describe(member) }
      }),
  }
}

/** Waits until it is a voter. Talos promotes its own learner, and etcd refuses that until it has caught up. */
export function promoted(
  talosctl: Talosctl,
  node: JoiningNode,
  through: readonly Address[],
  timeoutSeconds: number,
): Condition<MemberState> {
  return {
    name: `${node.name} is promoted to a voter of etcd`,
    timeoutSeconds,
    everyMs: 500,
    // Talos promotes a member in the boot in which it was added, and in no later one.
    hint: `A learner that was restarted before it was promoted stays one: take it out (task migrate:leave NODE=${node.name}) and join it again.`,
    probe: () =>
      looking(talosctl, through, (members) => {
        const member = byPlace(members, node)
        if (member === undefined) return { met: false, saw: `members: ${members.map(nameOf).join(', ')}` }
        if (member.learner) return { met: false, saw: describe(member) }
        return { met: true, value: member, saw: describe(member) }
      }),
  }
}

/** Waits until the member is well, follows the same leader as all others, and has all that the leader has. */
export function caughtUp(
  talosctl: Talosctl,
  node: JoiningNode,
  through: readonly Address[],
  timeoutSeconds: number,
): Condition<MemberState> {
  return {
    name: `etcd on ${node.name} is healthy and has caught up`,
    timeoutSeconds,
    everyMs: 500,
    hint: `talosctl --nodes ${node.address} service etcd; talosctl --nodes ${node.address} logs etcd`,
    probe: () =>
      looking(talosctl, through, (members) => {
        const member = byPlace(members, node)
        if (member === undefined) return { met: false, saw: 'it is not in etcd' }
        const lag = lagOf(member, members)
        if (typeof lag === 'string') return { met: false, saw: lag }
        if (lag > mayLag) return { met: false, saw: `${lag} entries behind its leader` }
        return { met: true, value: member, saw: `raft index ${member.status?.raftIndex}, ${lag} behind its leader` }
      }),
  }
}

const endpoints = z
  .object({ endpoints: z.array(z.object({ host: z.string(), port: z.number() }).loose()).nullish() })
  .loose()

/**
 * Waits until KubePrism of every control plane machine balances over the new one too: then kubelets and what runs on the hosts go on
 * when another one fails. Source: Talos documentation, "KubePrism"; resource KubePrismEndpoints.
 */
export function kubePrismLists(
  talosctl: Talosctl,
  node: JoiningNode,
  machines: readonly Address[],
  timeoutSeconds: number,
): Condition<true> {
  return {
    name: `KubePrism lists ${node.address}`,
    timeoutSeconds,
    everyMs: 500,
    hint: `talosctl --nodes ${machines[0]} get kubeprismendpoints -o yaml; talosctl --nodes ${machines[0]} get members`,
    probe: () =>
      patiently(async () => {
        const lists = await Promise.all(
          machines.map(async (address) => ({ address, hosts: await balancedOver(talosctl, address) })),
        )
        // A machine calls its own API server localhost.
        const lacking = lists.filter(({ address, hosts }) => address !== node.address && !hosts.includes(node.address))
        if (lacking.length === 0) return { met: true, value: true }
        return { met: false, saw: lacking.map(({ address, hosts }) => `${address} has ${hosts.join(', ')}`).join('; ') }
      }),
  }
}

/** The hosts that a machine's KubePrism balances over. */
async function balancedOver(talosctl: Talosctl, address: Address): Promise<string[]> {
  const found = await talosctl.resources({ address }, 'kubeprismendpoints', endpoints)
  return found.flatMap(({ spec }) => (spec.endpoints ?? []).map(({ host }) => host))
}

interface Labelled {
  metadata: { labels?: Record<string, string> }
}
const roleLabel = 'node-role.kubernetes.io/control-plane'

/** Waits until the Node carries the label by which everything knows a control plane. */
export function labelledControlPlane(api: KubernetesReader, name: string, timeoutSeconds: number): Condition<true> {
  return {
    name: `Node ${name} is labelled as a control plane`,
    timeoutSeconds,
    hint: `kubectl get node ${name} --show-labels; talosctl get nodelabelspecs`,
    probe: async () => {
      const node = await api.getOrNull<Labelled>(`/api/v1/nodes/${name}`)
      if (node?.metadata.labels?.[roleLabel] !== undefined) return { met: true, value: true }
      return { met: false, saw: node ? `it has no label ${roleLabel}` : 'there is no such Node yet' }
    },
  }
}

async function looking(
  talosctl: Talosctl,
  through: readonly Address[],
  judge: (members: readonly MemberState[]) => Probe<MemberState>,
): Promise<Probe<MemberState>> {
  try {
    return judge(await memberStates(talosctl, through))
  } catch (error) {
    // While a leader is being elected nobody tells; the next second somebody does.
    if (error instanceof OperatorError) return { met: false, saw: error.what.replace(/\.$/, '') }
    throw error
  }
}

/** By its address: a member that has not started has no name yet, and one of that name elsewhere is another. */
function byPlace(members: readonly MemberState[], node: JoiningNode): MemberState | undefined {
  return members.find(({ address }) => address === node.address)
}

function lagOf(member: MemberState, members: readonly MemberState[]): number | string {
  if (member.problem !== null || member.status === null) return member.problem ?? 'it tells nothing of itself'
  const leaders = new Set(members.flatMap(({ status, problem }) => (problem === null && status ? [status.leader] : [])))
  if (leaders.size > 1) return 'the members do not agree who leads them'
  const leader = members.find(({ id }) => id === member.status?.leader)
  if (leader?.status == null) return 'its leader does not answer'
  return Math.max(0, leader.status.raftIndex - member.status.raftIndex)
}

function describe(member: MemberState): string {
  return `${nameOf(member)} is a ${member.learner ? 'learner' : 'voter'}`
}

function nameOf({ hostname, address }: MemberState): string {
  return hostname || String(address)
}
