import * as z from 'zod'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { parseAddress, sameAddress } from '../network/addresses.ts'
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
  readonly member: Pick<MemberState, 'hostname' | 'address' | 'id'>
  /** as etcd knows it; null: no more, an earlier call has come that far */
  readonly state: MemberState | null
  readonly others: readonly MemberState[]
  /** whether its machine answers, and so can be told to leave */
  readonly answers: boolean
  /** the text of a kubeconfig that goes to one of the others */
  readonly kubeconfig: string
}

const left = z.object({ hostname: z.string(), address: z.string(), id: z.string() })

/**
 * Finds the member of NODE, and says whether it may go.
 * @throws OperatorError with the arithmetic when etcd would lose its quorum; with exit code 2 when no such control plane is known
 */
export async function findLeaving(migration: Migration, talosctl: Talosctl): Promise<Leaving> {
  const { settings, flags } = migration
  const { joinNode: name } = settings
  if (name === undefined) throw unnamed()
  const members = await memberStates(talosctl, await waysIn(settings))
  const ip = settings.joinIp === undefined ? undefined : parseAddress(settings.joinIp, 'IP')
  const state = memberOf(members, { name, address: ip }) ?? null
  const member = state ?? (migration.recall(factOf(name), left) as Leaving['member'] | undefined)
  if (!member) throw unknown(name, members)
  if (state) {
    verifyMayLeave(members, state.id)
    if (flags['even-the-endpoint'] !== true) refuseEndpoint(settings.clusterEndpoint, state)
  }
  const others = members.filter((each) => each !== state)
  const stays = others.find(({ problem }) => problem === null)
  if (!stays) throw unknown(name, members)
  const answers = (await lookAtMachine(talosctl, member.address)).state === 'running'
  const kubeconfig = await kubeconfigFor(settings.kubeconfig, stays)
  const { address, id } = member
  if (state) beginAnew(migration, state)
  return { member: { hostname: name, address, id }, state, others, answers, kubeconfig }
}

/** A member that has come back since has another id: what the journal tells of its predecessor is not about it. */
function beginAnew(migration: Migration, { hostname, address, id }: MemberState): void {
  const { journal, phase, dryRun } = migration
  const known = migration.recall(factOf(hostname), left)
  if (dryRun || known?.id === id) return
  if (known) journal.append({ type: 'phase', phase, state: 'begin' })
  migration.remember(factOf(hostname), { hostname, address, id })
}

/**
 * Takes the control plane out: a living one is drained, hands over, leaves and is switched off; a dead one's member is removed. Its Node goes,
 * and talosconfig and kubeconfig know it no more. May be called again after a kill at any point.
 * @throws OperatorError when a wait is in vain
 */
export async function leaveControlPlane(migration: Migration, tools: Tools, leaving: Leaving): Promise<void> {
  const { member, others } = leaving
  await leavesEtcd(migration, tools, leaving)
  await fence(migration, tools, leaving)
  await migration.step(`Delete Node ${member.hostname}`, () => deleteNode(migration, tools.api, member.hostname))
  await migration.step(`Take ${member.hostname} out of talosconfig and kubeconfig`, () =>
    pointTo(migration, tools, others, [member.address]),
  )
}

async function leavesEtcd(migration: Migration, { talosctl, api }: Tools, leaving: Leaving): Promise<void> {
  const { member, state, others, answers } = leaving
  const { hostname } = member
  const through = addressesOf(others)
  if (state) tellArithmetic(migration, state, others)
  if (answers) await migration.step(`Cordon and drain ${hostname}`, () => emptyNode(migration, api, hostname))
  await migration.step(`Take ${hostname} out of etcd`, async () => {
    if (state && answers && state.problem === null) await leaveEtcd(migration, talosctl, state, through)
    else if (state) await removeMember(migration, talosctl, state, through)
    if (!migration.dryRun) await migration.wait(memberGone(talosctl, member, through, migration.settings.apiTimeout))
  })
}

/** What has the config of a control plane joins again as soon as it starts with an empty etcd. */
async function fence(migration: Migration, { talosctl }: Tools, { answers, member }: Leaving): Promise<void> {
  const { hostname, address } = member
  if (!answers) {
    migration.console.warn(
      `${hostname} (${address}) must not be switched on again as it is: its etcd was removed, and its disk is not empty.`,
    )
    return
  }
  const empty = migration.flags.reset === true
  await migration.step(`Switch ${hostname} off`, async () => {
    await switchOff(migration, talosctl, member, empty)
    if (migration.dryRun) return
    await migration.wait(machineIsOff(hostname, address, migration.settings.shutdownTimeout))
  })
  if (!empty) {
    migration.console.warn(
      `${hostname} has its config still: when it is switched on it joins again. -- --reset empties it.`,
    )
  }
}

/** Deletes the Node of a machine that has left; one that is gone already is nothing to do. */
export async function deleteNode(migration: Migration, api: KubernetesApi, name: string): Promise<void> {
  if ((await api.getOrNull(`/api/v1/nodes/${name}`)) === null) return
  await migration.change(`Delete Node ${name}`, {
    apply: async () => {
      if (await api.getOrNull(`/api/v1/nodes/${name}`)) await api.remove(`/api/v1/nodes/${name}`)
    },
  })
}

function tellArithmetic({ console }: Migration, member: MemberState, others: readonly MemberState[]): void {
  const rest = others.filter(({ learner }) => !learner).length
  const before = rest + (member.learner ? 0 : 1)
  console.info(`etcd now: ${describeTolerance(before)}. Without ${member.hostname}: ${describeTolerance(rest)}.`)
}

function refuseEndpoint(endpoint: string, { hostname, address }: MemberState): void {
  const { hostname: host } = new URL(endpoint)
  if (!sameAddress(host, address)) return
  throw new OperatorError(`${hostname} is the cluster's endpoint: ${endpoint}.`, {
    means:
      'Without it nobody finds the API but the machines themselves (KubePrism), though it runs on. Nothing was changed.',
    next: 'Give the cluster another endpoint first (task migrate:join tells how), or replace it at the same address tonight: task migrate:leave … -- --even-the-endpoint',
  })
}

function unnamed(): OperatorError {
  return new OperatorError('Nobody is named who should leave.', {
    means: 'Nothing was changed.',
    next: 'task migrate:leave NODE=talos01',
    exitCode: 2,
  })
}

function unknown(name: string, members: readonly MemberState[]): OperatorError {
  const names = members.map(({ hostname, id }) => hostname || `member ${id}`).join(', ')
  return new OperatorError(`${name} cannot leave: it is no member of etcd that others would be left of.`, {
    means: `Its members are: ${names}. Nothing was changed.`,
    next: 'Correct NODE. For a member that never started and has no name: IP=ITS-ADDRESS too.',
    exitCode: 2,
  })
}

function factOf(name: string): string {
  return `leaving ${name}`
}
