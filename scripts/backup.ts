#!/usr/bin/env node
import { verifyAccess } from '../lib/backup/access.ts'
import { beginBackup } from '../lib/backup/begin.ts'
import { copyBackup } from '../lib/backup/copy.ts'
import { backUpCredentials } from '../lib/backup/credentials.ts'
import { describeDependencies, findDependencies } from '../lib/backup/dependencies.ts'
import { lookAtDestination } from '../lib/backup/destination.ts'
import { beginAnewUnlessExcused, judgeMissing, provenStep } from '../lib/backup/excuses.ts'
import { noteFacts } from '../lib/backup/facts.ts'
import { backUpMachineConfigs, backUpSnapshot } from '../lib/backup/machines.ts'
import { backUpObjects } from '../lib/backup/resources.ts'
import { removeOldBackups } from '../lib/backup/retention.ts'
import { proveBackup, sealBackup } from '../lib/backup/seal.ts'
import { backUpWithVelero, lookAtVelero } from '../lib/backup/velero.ts'
import { describeGitops, readGitopsState } from '../lib/gitops/state.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { discover } from '../lib/kubernetes/discovery.ts'
import { describeVolumes, takeVolumeInventory } from '../lib/kubernetes/volume-inventory.ts'
import { phase } from '../lib/migration/phase.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { takeBaseline } from '../lib/verify/baseline.ts'
import { askIngress } from '../lib/verify/ingress.ts'

export default await phase(
  'backup',
  async (migration) => {
    const { settings } = migration
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    const talosctl = await Talosctl.open(settings)

    await migration.step('Look whether machine and cluster let us in', () => verifyAccess(settings, talosctl, api))
    beginAnewUnlessExcused(migration)
    const backup = await beginBackup(migration, await lookAtDestination(migration, talosctl))
    const { archive } = backup

    // Before anything is suspended or drained: this is what the cluster is compared with afterwards.
    const baseline = () =>
      takeBaseline(api, {
        askIngress: (hosts) => askIngress(hosts, settings.nodeAddress),
        meshPeers: settings.meshPeers,
      })
    const gitops = { read: () => readGitopsState(api), describe: describeGitops }
    const volumes = { read: () => takeVolumeInventory(api, settings), describe: describeVolumes }
    const dependencies = {
      read: async () => findDependencies(api, await discover(api), migration.clock),
      describe: describeDependencies,
    }
    const facts = await noteFacts(migration, backup, [
      { title: 'Take the baseline of health', path: 'baseline.json', read: baseline },
      { title: 'Note where Flux and Argo CD stand', path: 'gitops.json', ...gitops },
      { title: 'Note every volume', path: 'volumes.json', ...volumes },
      { title: 'Note external dependencies', path: 'dependencies.json', ...dependencies },
      { title: 'Look at what Velero will save', path: 'velero.json', read: () => lookAtVelero(migration, api) },
    ])

    const snapshot = await migration.step('Back up etcd', () => backUpSnapshot(migration, talosctl, api, archive))
    const objects = await migration.step('Back up every API object', () => backUpObjects(migration, api, archive))
    const machines = await migration.step('Back up the machine configs of the other nodes', () =>
      backUpMachineConfigs(migration, talosctl, api, archive),
    )
    const credentials = await migration.step('Back up talosconfig, kubeconfig, configs/ and the secrets bundle', () =>
      backUpCredentials(migration, talosctl, archive),
    )

    const parts = { snapshot, objects, machines, credentials, facts }
    const folder = await migration.step('Seal the backup', () => sealBackup(migration, talosctl, backup, parts))
    await migration.step(provenStep, () => proveBackup(migration, folder))

    const { backupCopyTo } = settings
    if (backupCopyTo) {
      await migration.step(`Copy the backup to ${backupCopyTo}`, () => copyBackup(migration, backupCopyTo, folder))
    }
    const unreadable = [...(objects?.unreadable ?? []), ...(machines?.unreadable ?? [])]
    await migration.step('Judge what is missing', () => judgeMissing(migration, folder, unreadable))
    await migration.step('Remove old backups', () => removeOldBackups(migration, api, folder))
    await migration.step('Have Velero back up the volumes', () => backUpWithVelero(migration, api, archive.name))
    api.close()
  },
  { clean: 'boolean' },
)
