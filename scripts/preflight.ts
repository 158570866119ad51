#!/usr/bin/env node
import { phase } from '../lib/migration/phase.ts'
import { questionsAreAnswered } from '../lib/plan/preflight.ts'
import { newAddressIsFree } from '../lib/recovery/new-address.ts'
import { restoreListFits } from '../lib/recovery/preflight.ts'
import { machinesMayJoin } from '../lib/verify/join/checks.ts'
import { LiveContext } from '../lib/verify/preflight/context.ts'
import { preflight } from '../lib/verify/preflight.ts'
import { failOnErrors, showChecks } from '../lib/verify/show.ts'
import { keepPreflight } from '../lib/verify/verdict.ts'

export default await phase('preflight', async (migration) => {
  const context = new LiveContext(migration.settings, migration.clock.now())
  const { recovery, scenario } = migration.settings
  const more = [
    questionsAreAnswered,
    ...(recovery === 'gitops' ? [restoreListFits] : []),
    ...(scenario === 'B' ? [newAddressIsFree] : []),
    ...(scenario === 'C' ? [machinesMayJoin] : []),
  ]
  const results = await preflight(context, more)
  await context.close()
  showChecks(migration.console, results)
  await keepPreflight(migration, results)
  failOnErrors(results)
})
