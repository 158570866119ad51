import { KubernetesApi } from '../../kubernetes/api.ts'
import { otherMachines } from '../../kubernetes/machines.ts'
import type { Condition, JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import type { Address } from '../../network/addresses.ts'
import { nodeReady } from '../../talos/control-plane.ts'
import { bootId, sameMachine } from '../../talos/identity.ts'
import { waysIn } from '../../talos/join/endpoints.ts'
import { memberGone, undoJoin } from '../../talos/join/leave.ts'
import { memberStates } from '../../talos/join/members.ts'
import { undoReset } from '../../talos/join/worker.ts'
import { lookAtMachine } from '../../talos/maintenance.ts'
import { machineRuns } from '../../talos/new-machine.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { deleteNode } from '../leave.ts'
import { knownMachine } from './known-machine.ts'
import type { WayBack } from './way-back.ts'

/**
 * Takes the machines that this run has joined out of the control plane again, the newest first: each leaves etcd in order and is emptied, and its Node
 * goes. One that has died meanwhile is left to migrate:leave.
 * @throws OperatorError with the arithmetic when the others would be no quorum
 */
export async function takeJoinedOut(migration: Migration, talosctl: Talosctl, { joined }: WayBack): Promise<void> {
  if (joined.length === 0) return
  const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
  try {
    for (const change of joined) await migration.undo(change, () => takeOut(migration, talosctl, api, change))
  } finally {
    api.close()
  }
}

async function takeOut(
  migration: Migration,
  talosctl: Talosctl,
  api: KubernetesApi,
  change: WayBack['joined'][number],
): Promise<Undone> {
  const { settings } = migration
  const { address } = knownMachine(change)
  const through = (await waysIn(settings)).filter((way) => way !== address)
  const member = (await memberStates(talosctl, through)).find((each) => each.address === address)
  const outcome = await undoJoin(talosctl, change.undo, through)
  if (outcome.startsWith('conflict')) return outcome
  if (member) await migration.wait(memberGone(talosctl, member, through, settings.apiTimeout))
  if (outcome === 'undone') await migration.wait(machineIsEmptied(talosctl, address, settings.machineTimeout))
  const node = (await otherMachines(api, settings.nodeName)).find((each) => each.address === address)?.node
  if (node !== undefined) await deleteNode(migration, api, node)
  return outcome
}

function machineIsEmptied(talosctl: Talosctl, address: Address, timeoutSeconds: number): Condition<true> {
  return {
    name: `the machine at ${address} has emptied itself, and waits in maintenance mode`,
    timeoutSeconds,
    everyMs: 1000,
    hint: 'Look at its screen. It is in etcd no more; the same command again goes on: task migrate:rollback',
    probe: async () => {
      const { state, saw } = await lookAtMachine(talosctl, address)
      return state === 'maintenance' ? { met: true, value: true } : { met: false, saw }
    },
  }
}

/** Makes a machine the worker again that it was, when it answers again, and waits until its Node is ready. */
export async function makeWorkerAgain(
  { migration, talosctl, open }: { migration: Migration; talosctl: Talosctl; open: (path: string) => Promise<Buffer> },
  change: JournaledChange,
): Promise<Undone> {
  const { kubeconfig, apiTimeout, machineTimeout } = migration.settings
  const { address, identity } = knownMachine(change)
  await migration.wait({
    name: `the machine at ${address} answers`,
    timeoutSeconds: machineTimeout,
    everyMs: 1000,
    hint: 'It has been emptied, and is to be a worker again. Switch it on, and type the same command again: task migrate:rollback',
    probe: async () => {
      const seen = await lookAtMachine(talosctl, address)
      // While it goes down to be emptied it is still what it was.
      const isGoing = seen.state === 'running' && sameMachine(seen.identity, identity) && seen.stage !== 'running'
      return seen.state === 'silent' || isGoing ? { met: false, saw: seen.saw } : { met: true, value: undefined }
    },
  })
  const outcome = await undoReset(talosctl, change.undo, open)
  if (outcome !== 'undone') return outcome
  await migration.wait(machineRuns(talosctl, address, identity, machineTimeout))
  const api = await KubernetesApi.fromFile(kubeconfig)
  const boot = await bootId(talosctl, { address })
  await migration.wait(nodeReady(api, String(change.undo?.node), boot, apiTimeout)).finally(() => api.close())
  return outcome
}
