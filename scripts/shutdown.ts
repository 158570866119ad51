#!/usr/bin/env node
import { backupFolder } from '../lib/backup/begin.ts'
import { copyBackup } from '../lib/backup/copy.ts'
import { readFinalSetBack, writeFinalSet } from '../lib/backup/final-set.ts'
import { keysFor } from '../lib/backup/keys.ts'
import { withMemoryFolder } from '../lib/migration/memory-folder.ts'
import type { Migration } from '../lib/migration/migration.ts'
import { phase } from '../lib/migration/phase.ts'
import { parseAddress } from '../lib/network/addresses.ts'
import { describeDoors, machineIsOff } from '../lib/network/ports.ts'
import { checkRebuild } from '../lib/recovery/from-git.ts'
import { refuseNewAddressStill } from '../lib/recovery/new-address.ts'
import {
  checkBeforeShutdown,
  finalSnapshot,
  rememberOldMachine,
  shutDown,
  takeFinalSnapshot,
  type VerifiedSnapshot,
} from '../lib/talos/old-machine.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { unlessRebuilding } from '../lib/talos/without-snapshot.ts'

export default await phase('shutdown', async (migration) => {
  const { settings } = migration
  const talosctl = await Talosctl.open(settings)
  const address = parseAddress(settings.nodeAddress, 'TALOS_NODE')

  const old = await migration.step('Remember the old machine', () => rememberOldMachine(migration, talosctl, address))

  await migration.step('Check what must hold before it is off', async () => {
    const config = await checkBeforeShutdown(migration, talosctl, address)
    await refuseNewAddressStill(migration, talosctl, config)
  })

  if (settings.recovery === 'gitops') {
    await migration.step('Check what the cluster is rebuilt from', () => checkRebuild(migration))
  }

  const keys = await keysFor(migration, backupFolder(migration))
  await migration.step('Take the final etcd snapshot', () =>
    unlessRebuilding(migration, () =>
      withMemoryFolder(settings, (memory) =>
        takeFinalSnapshot(migration, talosctl, address, memory, async (snapshot) => {
          const { folder } = await writeFinalSet(settings, keys, finalSetOf(migration, snapshot))
          await readFinalSetBack(migration, folder, memory)
          return { folder }
        }),
      ),
    ),
  )

  const { backupCopyTo } = settings
  const folder = migration.recall('final-snapshot', finalSnapshot)?.folder
  if (backupCopyTo && (folder || migration.dryRun)) {
    await migration.step(`Copy it to ${backupCopyTo}`, () => copyBackup(migration, backupCopyTo, folder))
  }

  await migration.step('Shut the old machine down', () => shutDown(migration, talosctl, address, old))

  await migration.step('Prove that it is off', async () => {
    const doors = await migration.wait(machineIsOff(settings.nodeName, address, settings.shutdownTimeout))
    if (migration.dryRun) return
    const at = migration.clock.now().toISOString()
    migration.remember('old-machine-off', { address, at, ports: describeDoors(doors) })
    migration.console.info(`${settings.nodeName} is off (${describeDoors(doors)}). It must not be switched on again.`)
  })
})

function finalSetOf({ settings, clock }: Migration, snapshot: VerifiedSnapshot): Parameters<typeof writeFinalSet>[2] {
  const { kubeSystemUid, revision, hash, versions } = snapshot
  return {
    snapshotPath: snapshot.path,
    machineConfigs: { [settings.nodeName]: snapshot.machineConfig },
    info: {
      identity: { kubeSystemUid },
      versions: { ...versions, kubernetes: settings.kubernetesVersion },
      snapshot: { revision, ...(hash ? { hash } : {}) },
      createdAt: clock.now(),
    },
  }
}
