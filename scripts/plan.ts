#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { evacuatedNow } from '../lib/kubernetes/evacuation/ledger.ts'
import { acceptance, withoutWayOut } from '../lib/kubernetes/evacuation/loss.ts'
import { showOutlook } from '../lib/kubernetes/show-outlook.ts'
import { showStateful } from '../lib/kubernetes/workloads.ts'
import { phase } from '../lib/migration/phase.ts'
import { takeInventory } from '../lib/plan/inventory.ts'
import { showPlan } from '../lib/plan/show.ts'
import { planFromGit } from '../lib/recovery/plan.ts'

export default await phase('plan', async (migration) => {
  const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
  const inventory = await migration.step('Look at the cluster', async () => {
    const found = await takeInventory(api, migration.settings, migration.clock.now(), evacuatedNow(migration.journal))
    showPlan(migration, found)
    showStateful(migration, found.stateful)
    showOutlook(migration, found.outlook)
    const open = withoutWayOut(found.volumes, migration.settings.evacuateTo !== undefined)
    return { volumes: found.volumes.length, open: open.length, accept: acceptance(open, migration.settings) }
  })
  if (migration.settings.recovery === 'gitops') {
    await migration.step('Work out what Git does not hold', () => planFromGit(migration, api))
  }
  api.close()
  if (inventory.open > 0) {
    migration.console.warn(
      `migrate:drain refuses to go on with ${inventory.open} of these volumes: have them copied (EVACUATE_TO), or accept their loss: ${inventory.accept}`,
    )
  }
})
