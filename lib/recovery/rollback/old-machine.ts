import { backupFolder } from '../../backup/begin.ts'
import { readFinalSet } from '../../backup/final-set.ts'
import { rememberDiskEmptied } from '../../kubernetes/evacuation/ledger.ts'
import { OperatorError } from '../../migration/errors.ts'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import type { Condition, Migration, Probe } from '../../migration/migration.ts'
import { oneHealthyVoter } from '../../talos/etcd.ts'
import { describeMachine, sameMachine } from '../../talos/identity.ts'
import { parseMachineConfig } from '../../talos/machine-config.ts'
import { lookAtMachine, type MachineSeen } from '../../talos/maintenance.ts'
import { applyConfig, machineRuns } from '../../talos/new-machine.ts'
import { finalSnapshot } from '../../talos/old-machine.ts'
import { checkSnapshot, recoverEtcd, snapshotOfSet } from '../../talos/recovery.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { refuseAlive } from './fence.ts'
import type { KnownMachine } from './known-machine.ts'
import { repeatedLook } from './look.ts'
import type { WayBack } from './way-back.ts'

/** How the old machine comes back: with its disk as it was, or with an empty one. */
type Comeback = 'as it was' | 'emptied'

/**
 * Has the old machine run the cluster again. With its disk as it was it does so by itself; where the disk was wiped it gets the config that it ran
 * on, and the final snapshot.
 * @throws OperatorError when it does not come back, or when the new machine is seen alive meanwhile
 */
export async function bringOldMachineBack(migration: Migration, talosctl: Talosctl, way: WayBack): Promise<void> {
  const { old } = way
  if (!old) return
  const { apiTimeout } = migration.settings
  await tellToSwapBack(migration, talosctl, old, way.replacement !== undefined)
  const comeback = await migration.wait(oldMachineIsBack(migration, talosctl, old, way.replacement))
  if (comeback === 'emptied') await reinstall(migration, talosctl, old)
  await migration.wait(oneHealthyVoter(talosctl, { address: old.address }, apiTimeout))
}

/** What only hands can do. */
async function tellToSwapBack(migration: Migration, talosctl: Talosctl, old: KnownMachine, isSwapped: boolean) {
  const { console, settings } = migration
  const seen = await lookAtMachine(talosctl, old.address)
  if (seen.state === 'running' && seen.stage === 'running' && sameMachine(seen.identity, old.identity)) return
  console.info('Now it is your turn:')
  if (isSwapped) console.info('  1. Unplug the new machine from the network, and leave it unplugged.')
  console.info(`  ${isSwapped ? '2. ' : ''}Power the old machine on as it was (${describeMachine(old.identity)}).`)
  console.info(
    `It goes on by itself when ${old.address} answers (it waits for ${Math.round(settings.machineTimeout / 60)} min). Ctrl-C is safe here.`,
  )
}

function oldMachineIsBack(
  { settings }: Migration,
  talosctl: Talosctl,
  old: KnownMachine,
  replacement: KnownMachine | undefined,
): Condition<Comeback> {
  const elsewhere = replacement && replacement.address !== old.address ? replacement : undefined
  const look = repeatedLook(talosctl)
  return {
    name: `the old machine runs again at ${old.address}`,
    timeoutSeconds: settings.machineTimeout,
    everyMs: 1000,
    hint: `Power it on, and connect it to the network; its address must be ${old.address}. If it never comes back: task migrate:provision SNAPSHOT=<the last snapshot that was kept, or a backup>`,
    probe: async () => {
      if (elsewhere) refuseAlive(elsewhere, await lookAtMachine(talosctl, elsewhere.address))
      const seen = await look(old.address)
      if (replacement) refuseAlive(replacement, seen)
      return judge(old, seen)
    },
  }
}

function judge(old: KnownMachine, seen: MachineSeen): Probe<Comeback> {
  const { saw } = seen
  if (seen.state === 'silent') return { met: false, saw }
  if (seen.state === 'foreign') throw notTheOldOne(old, saw)
  if (sameMachine(seen.identity, old.identity)) {
    if (seen.state === 'maintenance') return { met: true, value: 'emptied', saw }
    // One that was told to shut down, and has not done so yet, is about to go.
    return seen.stage === 'running'
      ? { met: true, value: 'as it was', saw }
      : { met: false, saw: `it is ${seen.stage}` }
  }
  if (seen.state === 'maintenance') return { met: false, saw: `${saw}: not the old machine. Unplug it` }
  throw notTheOldOne(old, saw)
}

function notTheOldOne({ address, identity }: KnownMachine, saw: string): OperatorError {
  return new OperatorError(`The machine at ${address} is not the old one.`, {
    means: `Seen: ${saw}. The old one is ${describeMachine(identity)}.`,
    next: 'Disconnect what does not belong there, power the old machine on, and repeat: task migrate:rollback',
  })
}

/** The very config that it ran on lies beside the final snapshot, and opens it. */
async function reinstall(migration: Migration, talosctl: Talosctl, { address, identity }: KnownMachine): Promise<void> {
  const { settings, console } = migration
  const folder = newestSet(migration)
  console.warn(`The disk of the old machine was wiped. It gets its config and its state from ${folder}.`)
  const set = await readFinalSet(migration, folder)
  const config = parseMachineConfig(await set.machineConfig(settings.nodeName), `the config of ${settings.nodeName}`)
  const source = snapshotOfSet(folder, set)
  await withMemoryFolder(settings, async (memory) => {
    await checkSnapshot(migration, source, config, memory)
    rememberDiskEmptied(migration)
    await applyConfig(migration, talosctl, address, identity, config)
    const runs = () => migration.wait(machineRuns(talosctl, address, identity, settings.machineTimeout))
    await recoverEtcd(migration, talosctl, address, source, memory, runs)
  })
}

function newestSet(migration: Migration): string {
  const folder = migration.recall('final-snapshot', finalSnapshot)?.folder ?? backupFolder(migration)
  if (folder !== undefined) return folder
  throw new OperatorError(
    'The disk of the old machine was wiped, and this run has neither a final snapshot nor a backup.',
    {
      next: 'Recover the cluster from an older backup: task migrate:provision SNAPSHOT=<backup folder>',
    },
  )
}
