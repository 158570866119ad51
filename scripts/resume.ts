#!/usr/bin/env node
import { argoCdIsSynced, resumeArgoCd } from '../lib/gitops/resume-argocd.ts'
import { fluxIsReady, resumeFlux } from '../lib/gitops/resume-flux.ts'
import { waitingFor } from '../lib/gitops/waiting-for.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { resumeCronJobs } from '../lib/kubernetes/cronjobs.ts'
import { bringBack, warnOfCopies } from '../lib/kubernetes/evacuation/evacuate.ts'
import { apiIsUp, nodeIsReady, uncordon } from '../lib/kubernetes/nodes.ts'
import { resumeOperators } from '../lib/kubernetes/operators.ts'
import { stageIsReady, workloadsAreReady } from '../lib/kubernetes/readiness.ts'
import { isRebuilt } from '../lib/kubernetes/rebuilt.ts'
import { scaleBack } from '../lib/kubernetes/scale.ts'
import { tellConflicts } from '../lib/migration/conflicts.ts'
import type { Migration } from '../lib/migration/migration.ts'
import { phase } from '../lib/migration/phase.ts'
import { leftToRepeer } from '../lib/network/liqo/record.ts'
import { makeUpForLostJournal } from '../lib/recovery/lost-journal.ts'

export default await phase(
  'resume',
  async (migration) => {
    const { nodeName, kubeconfig, quietOrder } = migration.settings
    const fromBackup = migration.flags['from-backup']
    const api = await KubernetesApi.fromFile(kubeconfig)

    await migration.step('Wait for the API', () => apiIsUp(migration, api))
    await migration.step(`Wait for ${nodeName}`, () => nodeIsReady(migration, api, nodeName))

    if (await isRebuilt(migration, api)) {
      migration.console.info('This cluster was rebuilt from Git: what the drain had quieted was never quiet here.')
      warnOfCopies(migration)
      // Git makes the workloads, so GitOps comes first.
      const later = await whatWaitsForRepeer(migration, api)
      await migration.step('Wait for Flux', () => fluxIsReady(migration, api, later.holders))
      await migration.step('Wait for Argo CD', () => argoCdIsSynced(migration, api, later.holders))
      await migration.step('Wait for workloads', () => workloadsAreReady(migration, api, later.workloads))
      return api.close()
    }

    if (typeof fromBackup === 'string') {
      await migration.step('Find in the backup what a drain has quieted', () =>
        makeUpForLostJournal(migration, api, fromBackup),
      )
    }
    await migration.step(`Uncordon ${nodeName}`, () => uncordon(migration, api))

    // Before anything that would write into an empty volume runs again.
    await migration.step('Bring evacuated volumes back', () => bringBack(migration, api))

    // The mirror image of drain: what was quieted last comes back first, and GitOps finds everything as it left it.
    await migration.step('Scale stateful workloads back', () =>
      scaleBack(migration, api, async (paths) => {
        // In an order of their own, they are waited for; else they are only started in one.
        if (quietOrder.length > 0) await stageIsReady(migration, api, paths)
      }),
    )
    await migration.step('Resume CronJobs', () => resumeCronJobs(migration, api))
    await migration.step('Resume operators', () => resumeOperators(migration, api))
    await migration.step('Resume Argo CD', () => resumeArgoCd(migration, api))
    await migration.step('Resume Flux', () => resumeFlux(migration, api))
    tellConflicts(migration)

    const later = await whatWaitsForRepeer(migration, api)
    await migration.step('Wait for workloads', () => workloadsAreReady(migration, api, later.workloads))
    await migration.step('Wait for Argo CD', () => argoCdIsSynced(migration, api, later.holders))
    await migration.step('Wait for Flux', () => fluxIsReady(migration, api, later.holders))
    api.close()
  },
  { 'take-back': 'boolean', 'from-backup': 'optional string' },
)

/** What runs in the other cluster, as long as there is no peering with it. */
async function whatWaitsForRepeer(migration: Migration, api: KubernetesApi) {
  const workloads = leftToRepeer(migration)
  return { workloads, holders: await waitingFor(migration, api, workloads) }
}
