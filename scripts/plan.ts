#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { evacuatedNow } from '../lib/kubernetes/evacuation/ledger.ts'
import { acceptance, withoutWayOut } from '../lib/kubernetes/evacuation/loss.ts'
import { showOutlook } from '../lib/kubernetes/show-outlook.ts'
import { showStateful } from '../lib/kubernetes/workloads.ts'
import { earlierRuns } from '../lib/migration/earlier-runs.ts'
import { phase } from '../lib/migration/phase.ts'
import { takeInventory } from '../lib/plan/inventory.ts'
import { keepPlan } from '../lib/plan/keep.ts'
import { planOf } from '../lib/plan/plan.ts'
import { refuseOpen } from '../lib/plan/refuse.ts'
import { showPlan } from '../lib/plan/show.ts'
import { planFromGit } from '../lib/recovery/plan.ts'

export default await phase('plan', async (migration) => {
  const { settings, console, clock, journal } = migration
  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  const questions = await migration.step('Look at the cluster', async () => {
    const found = await takeInventory(api, settings, clock, evacuatedNow(journal))
    const plan = planOf(found, settings, earlierRuns(settings.earlierRunsDir), clock.now())
    showPlan(console, plan)
    showStateful(migration, found.stateful)
    showOutlook(migration, found.outlook)
    const open = settings.scenario === 'C' ? [] : withoutWayOut(found.volumes, settings.evacuateTo !== undefined)
    if (open.length > 0) {
      console.warn(
        `migrate:drain refuses to go on with ${open.length} of these volumes: have them copied (EVACUATE_TO), or accept their loss: ${acceptance(open, settings)}`,
      )
    }
    await keepPlan(migration, plan)
    return plan.questions.map((each) => ({ ...each }))
  })
  if (settings.recovery === 'gitops') {
    await migration.step('Work out what Git does not hold', () => planFromGit(migration, api))
  }
  api.close()
  refuseOpen(questions, settings)
})
