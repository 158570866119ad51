#!/usr/bin/env node
import { verifyAccess } from '../lib/backup/access.ts'
import { beginBackup } from '../lib/backup/begin.ts'
import { describeDependencies, findDependencies } from '../lib/backup/dependencies.ts'
import { beginAnewUnlessExcused, judgeMissing, provenStep } from '../lib/backup/excuses.ts'
import { noteFacts } from '../lib/backup/facts.ts'
import { backUpConfigs, backUpSnapshot } from '../lib/backup/machines.ts'
import { backUpObjects } from '../lib/backup/resources.ts'
import { proveBackup, sealBackup } from '../lib/backup/seal.ts'
import { backUpWithVelero, lookAtVelero } from '../lib/backup/velero.ts'
import { describeGitops, readGitopsState } from '../lib/gitops/state.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { discover } from '../lib/kubernetes/discovery.ts'
import { describeVolumes, takeVolumeInventory } from '../lib/kubernetes/volume-inventory.ts'
import { phase } from '../lib/migration/phase.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { takeBaseline } from '../lib/verify/baseline.ts'

export default await phase('backup', async (migration) => {
  const { settings } = migration
  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  const talosctl = await Talosctl.open(settings)

  await migration.step('Look whether machine and cluster let us in', () => verifyAccess(settings, talosctl, api))
  beginAnewUnlessExcused(migration)
  const backup = await beginBackup(migration)
  const { archive } = backup

  // Before anything is suspended or drained: this is what the cluster is compared with afterwards.
  const baseline = await noteFacts(migration, backup, {
    title: 'Take the baseline of health',
    path: 'baseline.json',
    read: () => takeBaseline(api, { address: settings.nodeAddress }),
  })
  const gitops = await noteFacts(migration, backup, {
    title: 'Note where Flux and Argo CD stand',
    path: 'gitops.json',
    read: () => readGitopsState(api),
    describe: describeGitops,
  })
  const volumes = await noteFacts(migration, backup, {
    title: 'Note every volume',
    path: 'volumes.json',
    read: () => takeVolumeInventory(api, settings),
    describe: describeVolumes,
  })
  const dependencies = await noteFacts(migration, backup, {
    title: 'Note external dependencies',
    path: 'dependencies.json',
    read: async () => findDependencies(api, await discover(api), migration.clock),
    describe: describeDependencies,
  })
  const velero = await noteFacts(migration, backup, {
    title: 'Look at what Velero will save',
    path: 'velero.json',
    read: () => lookAtVelero(migration, api),
  })

  const snapshot = await migration.step('Back up etcd', () => backUpSnapshot(migration, talosctl, api, archive))
  const objects = await migration.step('Back up every API object', () => backUpObjects(migration, api, archive))
  const configs = await migration.step('Back up machine configs, talosconfig and kubeconfig', () =>
    backUpConfigs(migration, talosctl, api, archive),
  )

  const parts = { snapshot, objects, configs, facts: [...baseline, ...gitops, ...volumes, ...dependencies, ...velero] }
  const folder = await migration.step('Seal the backup', () => sealBackup(migration, backup, parts))
  await migration.step(provenStep, () => proveBackup(migration, folder))
  const unreadable = [...(objects?.unreadable ?? []), ...(configs?.unreadable ?? [])]
  await migration.step('Judge what is missing', () => judgeMissing(migration, folder, unreadable))
  await migration.step('Have Velero back up the volumes', () => backUpWithVelero(migration, api, archive.name))
  api.close()
})
