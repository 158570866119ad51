import { KubernetesApi } from '../kubernetes/api.ts'
import { drain } from '../kubernetes/drain.ts'
import { drainOptions } from '../kubernetes/drain-options.ts'
import { lookAhead } from '../kubernetes/drain-outlook.ts'
import { cordon, cordonUndoKind, undoCordon } from '../kubernetes/nodes.ts'
import { showOutlook } from '../kubernetes/show-outlook.ts'
import type { Migration } from '../migration/migration.ts'
import type { Address } from '../network/addresses.ts'
import { apiReady, controlPlaneReady, nodeReady } from '../talos/control-plane.ts'
import { bootId } from '../talos/identity.ts'
import { candidateReady } from '../talos/join/candidate.ts'
import { caughtUp, kubePrismLists, labelledControlPlane, learnerSeen, promoted } from '../talos/join/conditions.ts'
import { setEndpoints, waysIn } from '../talos/join/endpoints.ts'
import { kubeconfigFor, setWaysToApi } from '../talos/join/kubeconfig.ts'
import { type MemberState, memberStates } from '../talos/join/members.ts'
import type { JoiningNode } from '../talos/join/nodes.ts'
import { verifyMayJoin } from '../talos/join/quorum.ts'
import { resetWorker } from '../talos/join/worker.ts'
import { applyConfig, machineRuns } from '../talos/new-machine.ts'
import type { Talosctl } from '../talos/talosctl.ts'
import { checkBeforeJoin, joinContext } from '../verify/join/checks.ts'
import type { JoinContext } from '../verify/join/context.ts'
import { showDifferences } from '../verify/join/show.ts'
import { failOnErrors, showChecks } from '../verify/show.ts'

/** What joining and leaving are done with. */
export interface Tools {
  readonly talosctl: Talosctl
  readonly api: KubernetesApi
  /** writes its first argument, encrypted, to the path of its second */
  readonly encrypt: (plain: Buffer, path: string) => Promise<void>
}

/**
 * Makes one machine a control plane of the cluster: from the look before up to a voter of etcd, an API server and a ready Node that all
 * machines know. May be called again after a kill at any point.
 * @throws OperatorError when anything speaks against it before anything is touched, and when a wait is in vain
 */
export async function joinControlPlane(migration: Migration, tools: Tools, node: JoiningNode): Promise<void> {
  const { name } = node
  const { settings, clock } = migration
  const context = await joinContext({ settings, now: clock.now() }, tools.talosctl, tools.api, node)
  beginAnew(migration, context)
  await migration.step(`Look before ${name} joins`, async () => {
    await showDifferences(migration, context)
    const results = await checkBeforeJoin(context, migration)
    showChecks(migration.console, results)
    failOnErrors(results)
  })
  await emptyWorker(migration, tools, context)
  await migration.step(givesConfig(node), () => giveConfig(migration, tools, context))
  if (migration.dryRun) return
  await becomesMember(migration, tools, context)
  await becomesNode(migration, tools, context)
  await migration.step(`Uncordon ${name}`, () => uncordonOne(migration, tools, name))
  await migration.step(lastStep(node), async () =>
    pointTo(migration, tools, await memberStates(tools.talosctl, await waysIn(migration.settings))),
  )
}

const givesConfig = ({ name }: JoiningNode) => `Give ${name} its config`
const lastStep = ({ name }: JoiningNode) => `Add ${name} to talosconfig and kubeconfig`

/** A machine that has left or was emptied since is another matter: what the journal tells of its first joining proves nothing. */
function beginAnew({ journal, phase, dryRun }: Migration, { node, members, candidate }: JoinContext): void {
  const wasDone = (step: string) => journal.doneStep(phase, step) !== undefined
  const isMember = members.some(({ address }) => address === node.address)
  const isStale =
    (wasDone(givesConfig(node)) && candidate.state === 'maintenance') || (wasDone(lastStep(node)) && !isMember)
  if (isStale && !dryRun) journal.append({ type: 'phase', phase, state: 'begin' })
}

async function emptyWorker(migration: Migration, { talosctl, api, encrypt }: Tools, context: JoinContext) {
  const { candidate, node } = context
  if (candidate.state !== 'worker') return
  await migration.step(`Cordon and drain the worker ${node.name}`, () => emptyNode(migration, api, node.name))
  await migration.step(`Reset the worker ${node.name}`, () =>
    resetWorker(migration, talosctl, node, candidate, encrypt),
  )
}

/** @throws OperatorError when a pod may not go untold, or does not go in time */
export async function emptyNode(migration: Migration, api: KubernetesApi, name: string): Promise<void> {
  await cordon(migration, api, name)
  const options = drainOptions({}, migration.settings)
  const outlook = await lookAhead(api, [name], { ...options, now: migration.clock.now() })
  showOutlook(migration, outlook)
  await drain(migration, api, outlook, options)
}

async function giveConfig(migration: Migration, { talosctl }: Tools, { node, wanted, pattern }: JoinContext) {
  const { machineTimeout } = migration.settings
  const found = await migration.wait(candidateReady(migration, talosctl, node))
  // Minutes may have gone by since the look.
  const members = await memberStates(talosctl, [pattern.address])
  const joinedBefore = members.some(({ address }) => address === node.address)
  if (!joinedBefore) verifyMayJoin(members, node.name)
  const machine = await applyConfig(migration, talosctl, node.address, found, wanted)
  if (machine) await migration.wait(machineRuns(talosctl, node.address, machine, machineTimeout))
}

async function becomesMember(migration: Migration, { talosctl }: Tools, { node, members }: JoinContext) {
  const { apiTimeout } = migration.settings
  const through = othersOf(members, node)
  await migration.step(`Wait until ${node.name} is a learner of etcd`, async () => {
    await migration.wait(learnerSeen(talosctl, node, through, apiTimeout))
  })
  await migration.step(`Wait until ${node.name} is a voter of etcd`, async () => {
    await migration.wait(promoted(talosctl, node, through, apiTimeout))
  })
  await migration.step(`Wait until etcd on ${node.name} has caught up`, async () => {
    const { status } = await migration.wait(caughtUp(talosctl, node, through, apiTimeout))
    migration.console.info(`${node.name} is at raft index ${status?.raftIndex}.`)
  })
}

async function becomesNode(migration: Migration, { talosctl, api }: Tools, { node, members }: JoinContext) {
  const { apiTimeout, kubeconfig } = migration.settings
  const { name, address } = node
  await migration.step(`Wait for the API server of ${name}`, async () => {
    const own = await KubernetesApi.fromString(await kubeconfigFor(kubeconfig, node))
    await migration.wait(apiReady(own, apiTimeout)).finally(() => own.close())
  })
  await migration.step(`Wait for Node ${name}`, async () => {
    await migration.wait(nodeReady(api, name, await bootId(talosctl, { address }), apiTimeout))
    await migration.wait(labelledControlPlane(api, name, apiTimeout))
    await migration.wait(controlPlaneReady(api, name, apiTimeout))
  })
  await migration.step(`Wait until KubePrism lists ${name}`, async () => {
    await migration.wait(kubePrismLists(talosctl, node, othersOf(members, node), apiTimeout))
  })
}

async function uncordonOne(migration: Migration, { api }: Tools, name: string): Promise<void> {
  const ours = migration.journal.changes({ kind: cordonUndoKind }).filter(({ undo }) => undo?.node === name)
  for (const change of ours) await migration.undo(change, () => undoCordon(api, change.undo))
}

/** The control planes as they are now become what talosconfig and kubeconfig know. */
export async function pointTo(
  migration: Migration,
  { talosctl, encrypt }: Tools,
  members: readonly MemberState[],
  gone: readonly Address[] = [],
): Promise<void> {
  const voters = members.filter(({ learner }) => !learner)
  const addresses = voters.map(({ address }) => address)
  await setEndpoints(migration, talosctl, addresses, gone)
  const nodes = voters.map(({ hostname, address }) => ({ name: hostname, address }))
  await setWaysToApi(migration, nodes, encrypt)
}

function othersOf(members: readonly MemberState[], node: JoiningNode): Address[] {
  return members.map(({ address }) => address).filter((address) => address !== node.address)
}
