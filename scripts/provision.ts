#!/usr/bin/env node
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { backupFolder } from '../lib/backup/begin.ts'
import { readFinalSet } from '../lib/backup/final-set.ts'
import { keysFor } from '../lib/backup/keys.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { withMemoryFolder } from '../lib/migration/memory-folder.ts'
import { phase } from '../lib/migration/phase.ts'
import { parseAddress } from '../lib/network/addresses.ts'
import { verifyRecovered } from '../lib/talos/bootstrap.ts'
import { apiReady, controlPlaneReady, kubeSystemUid, nodeReady } from '../lib/talos/control-plane.ts'
import { bootId } from '../lib/talos/identity.ts'
import { replaceKubeconfig } from '../lib/talos/kubeconfig.ts'
import { applyConfig, machineRuns, newMachineThere, oldMachineStaysOff } from '../lib/talos/new-machine.ts'
import { prepareConfig } from '../lib/talos/prepare-config.ts'
import { checkSnapshot, chooseSnapshot, recoverEtcd } from '../lib/talos/recovery.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'

export default await phase('provision', async (migration) => {
  const { settings } = migration
  const { nodeName, apiTimeout, machineTimeout } = settings
  if (settings.recovery === 'gitops') throw notBuiltYet()
  const talosctl = await Talosctl.open(settings)
  const oldAddress = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const address = settings.scenario === 'B' ? parseAddress(settings.newNodeAddress ?? '', 'NEW_TALOS_NODE') : oldAddress
  const source = await chooseSnapshot(migration, (folder) => readFinalSet(migration, folder))

  const config = await prepareConfig(migration, talosctl)
  const snapshot = await migration.step(`Check the snapshot ${source.origin} against ${config.origin}`, () =>
    withMemoryFolder(settings, (folder) => checkSnapshot(migration, source, config, folder)),
  )

  await migration.step('Give the new machine its config', async () => {
    await migration.wait(oldMachineStaysOff(migration, talosctl, oldAddress, address))
    const found = await migration.wait(newMachineThere(migration, talosctl, address, config))
    const machine = await applyConfig(migration, talosctl, address, found, config)
    if (machine) await migration.wait(machineRuns(talosctl, address, machine, machineTimeout))
  })

  await migration.step('Recover etcd from the snapshot', () =>
    withMemoryFolder(settings, (folder) => recoverEtcd(migration, talosctl, address, source, folder)),
  )

  const { encryption } = await keysFor(migration, backupFolder(migration))
  const encrypt = async (plain: Buffer, path: string) =>
    pipeline(encryption.encrypt(Readable.from([plain])), createWriteStream(path, { mode: 0o600 }))
  await migration.step('Fetch the kubeconfig', () => replaceKubeconfig(migration, talosctl, { address }, encrypt))
  if (migration.dryRun) return

  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  await migration.step('Wait for the Kubernetes API', async () => {
    await migration.wait(apiReady(api, apiTimeout))
    verifyRecovered(address, snapshot.kubeSystemUid, await kubeSystemUid(api))
  })
  await migration.step('Wait for the control plane and its Node', async () => {
    await migration.wait(controlPlaneReady(api, nodeName, apiTimeout))
    await migration.wait(nodeReady(api, nodeName, await bootId(talosctl, { address }), apiTimeout))
  })
  api.close()

  migration.console.info(`The cluster runs on the new machine, with all that it had at revision ${snapshot.revision}.`)
  migration.console.warn(
    'Revisions went back to the snapshot. What kept running elsewhere (workers, other machines) may hold a stale watch: restart the kubelets of workers, and operators that run outside.',
  )
})

function notBuiltYet(): OperatorError {
  return new OperatorError('RECOVERY=gitops is not built yet.', {
    means: 'Rebuilding from Git is for when no snapshot can be had. Nothing was changed.',
    next: 'Recover from a snapshot: RECOVERY=snapshot, with SNAPSHOT=<backup folder or file> if this run has none of its own.',
  })
}
