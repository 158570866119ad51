#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { showOutlook } from '../lib/kubernetes/drain.ts'
import { showStateful } from '../lib/kubernetes/workloads.ts'
import { phase } from '../lib/migration/phase.ts'
import { takeInventory } from '../lib/plan/inventory.ts'
import { showPlan } from '../lib/plan/show.ts'
import { planFromGit } from '../lib/recovery/plan.ts'

export default await phase('plan', async (migration) => {
  const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
  const inventory = await migration.step('Look at the cluster', async () => {
    const found = await takeInventory(api, migration.settings)
    showPlan(migration, found)
    showStateful(migration, found.stateful)
    showOutlook(migration, found.outlook)
    return { volumes: found.volumes.length, lost: found.volumes.filter((volume) => volume.fate === 'lost').length }
  })
  if (migration.settings.recovery === 'gitops') {
    await migration.step('Work out what Git does not hold', () => planFromGit(migration, api))
  }
  api.close()
  if (inventory.lost > 0) {
    migration.console.warn(
      `${inventory.lost} volumes are on the old machine's disk alone. Copy what you need before the shutdown.`,
    )
  }
})
