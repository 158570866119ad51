#!/usr/bin/env node
import { verifyAccess } from '../lib/backup/access.ts'
import { beginBackup } from '../lib/backup/begin.ts'
import { copyBackup } from '../lib/backup/copy.ts'
import { backUpCredentials } from '../lib/backup/credentials.ts'
import { describeDependencies, findDependencies } from '../lib/backup/dependencies.ts'
import { lookAtDestination } from '../lib/backup/destination.ts'
import { backUpMachineConfigs, backUpSnapshot } from '../lib/backup/machines.ts'
import { backUpObjects } from '../lib/backup/resources.ts'
import { removeOldBackups } from '../lib/backup/retention.ts'
import { proveBackup, sealBackup, writeFacts } from '../lib/backup/seal.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { discover } from '../lib/kubernetes/discovery.ts'
import { phase } from '../lib/migration/phase.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { takeBaseline } from '../lib/verify/baseline.ts'

export default await phase(
  'backup',
  async (migration) => {
    const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
    const talosctl = await Talosctl.open(migration.settings)

    await migration.step('Look whether machine and cluster let us in', () =>
      verifyAccess(migration.settings, talosctl, api),
    )
    const expected = await lookAtDestination(migration, talosctl)
    const backup = await beginBackup(migration, expected)
    const { archive } = backup

    // Before anything is suspended or drained: this is what the cluster is compared with afterwards.
    const baseline = await migration.step('Take the baseline of health', async () =>
      writeFacts(
        migration,
        backup,
        'baseline.json',
        await takeBaseline(api, { address: migration.settings.nodeAddress }),
      ),
    )
    const dependencies = await migration.step('Note external dependencies', async () => {
      const found = await findDependencies(api, await discover(api))
      migration.console.info(describeDependencies(found))
      return writeFacts(migration, backup, 'dependencies.json', found)
    })

    const snapshot = await migration.step('Back up etcd', () => backUpSnapshot(migration, talosctl, api, archive))
    const objects = await migration.step('Back up every API object', () => backUpObjects(migration, api, archive))
    const machines = await migration.step('Back up the machine configs of the other nodes', () =>
      backUpMachineConfigs(migration, talosctl, api, archive),
    )
    const credentials = await migration.step('Back up talosconfig, kubeconfig, configs/ and the secrets bundle', () =>
      backUpCredentials(migration, talosctl, archive),
    )

    const parts = { snapshot, objects, machines, credentials, facts: [...baseline, ...dependencies] }
    const folder = await migration.step('Seal the backup', () => sealBackup(migration, talosctl, backup, parts))
    await migration.step('Read the backup back', () => proveBackup(migration, folder))

    const { backupCopyTo } = migration.settings
    if (backupCopyTo) {
      await migration.step(`Copy the backup to ${backupCopyTo}`, () => copyBackup(migration, backupCopyTo, folder))
    }
    await migration.step('Remove old backups', () => removeOldBackups(migration, api, folder))
    api.close()
  },
  { clean: 'boolean' },
)
