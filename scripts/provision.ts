#!/usr/bin/env node
import { encryptToFile } from '../lib/backup/encrypt-to-file.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { parseAddress } from '../lib/network/addresses.ts'
import { leadEndpoint } from '../lib/network/endpoint-name.ts'
import { leadsTo } from '../lib/network/resolve.ts'
import { systemSudo } from '../lib/network/rewrite-hosts.ts'
import { fromGit } from '../lib/recovery/from-git.ts'
import { fromSnapshot } from '../lib/recovery/from-snapshot.ts'
import { refuseNewAddressStill } from '../lib/recovery/new-address.ts'
import { oldConfig } from '../lib/recovery/old-config.ts'
import { bringOtherNodes } from '../lib/recovery/other-nodes.ts'
import { apiReady, controlPlaneReady, nodeReady } from '../lib/talos/control-plane.ts'
import { bootId } from '../lib/talos/identity.ts'
import { replaceKubeconfig } from '../lib/talos/kubeconfig.ts'
import { applyConfig, machineRuns, newMachineThere, oldMachineStaysOff } from '../lib/talos/new-machine.ts'
import { refuseSilent } from '../lib/talos/other-nodes.ts'
import { prepareConfig } from '../lib/talos/prepare-config.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'

export default await phase('provision', async (migration) => {
  const { settings } = migration
  const { nodeName, apiTimeout, machineTimeout } = settings
  const talosctl = await Talosctl.open(settings)
  const oldAddress = parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const address = settings.scenario === 'B' ? parseAddress(settings.newNodeAddress ?? '', 'NEW_TALOS_NODE') : oldAddress
  const recovery = settings.recovery === 'gitops' ? await fromGit(migration) : await fromSnapshot(migration)

  const config = await prepareConfig(migration, talosctl, await oldConfig(migration))
  await recovery.check(config)
  await refuseNewAddressStill(migration, talosctl, config)

  const machine = await migration.step('Give the new machine its config', async () => {
    await migration.wait(oldMachineStaysOff(migration, talosctl, oldAddress, address))
    const found = await migration.wait(newMachineThere(migration, talosctl, address, config))
    return applyConfig(migration, talosctl, address, found, config)
  })
  const runs = async () => machine && migration.wait(machineRuns(talosctl, address, machine, machineTimeout))

  await recovery.startEtcd(talosctl, address, runs)

  const encrypt = await encryptToFile(migration)
  await migration.step('Fetch the kubeconfig', async () => {
    if (settings.scenario === 'B') {
      await leadEndpoint(migration, systemSudo, config.endpoint, { from: oldAddress, to: address })
      await migration.wait(leadsTo(config.endpoint, address, apiTimeout))
    }
    await replaceKubeconfig(migration, talosctl, { address }, encrypt)
  })
  if (migration.dryRun) return

  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  await migration.step('Wait for the Kubernetes API', async () => {
    await migration.wait(apiReady(api, apiTimeout))
    await recovery.verifyCluster(api, address)
  })
  await migration.step('Wait for the control plane and its Node', async () => {
    await migration.wait(controlPlaneReady(api, nodeName, apiTimeout))
    await migration.wait(nodeReady(api, nodeName, await bootId(talosctl, { address }), apiTimeout))
  })
  const silent = await bringOtherNodes(migration, api, talosctl)
  await recovery.complete(api)
  refuseSilent(silent, 'provision')
  api.close()
})
