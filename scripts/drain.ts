#!/usr/bin/env node
import { staysQuiet } from '../lib/gitops/stay-quiet.ts'
import { suspendArgoCd } from '../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../lib/gitops/suspend-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { findCronJobs, suspendCronJobs } from '../lib/kubernetes/cronjobs.ts'
import { drain, verifyMachineIsDrained } from '../lib/kubernetes/drain.ts'
import { drainFlags, drainOptions, nodesToDrain } from '../lib/kubernetes/drain-options.ts'
import { lookAhead, refuseUntold } from '../lib/kubernetes/drain-outlook.ts'
import { evacuateIfAsked } from '../lib/kubernetes/evacuation/evacuate.ts'
import { refuseLoss, refuseUndecided } from '../lib/kubernetes/evacuation/loss.ts'
import { jobsAreDone } from '../lib/kubernetes/jobs.ts'
import { cordon } from '../lib/kubernetes/nodes.ts'
import { quietWorkloads } from '../lib/kubernetes/quiet.ts'
import { quietAgain, quietOperators } from '../lib/kubernetes/quiet-operators.ts'
import { rememberUnready } from '../lib/kubernetes/readiness.ts'
import { scaleDown } from '../lib/kubernetes/scale.ts'
import { showOutlook } from '../lib/kubernetes/show-outlook.ts'
import { findUnscaled, showUnscaled } from '../lib/kubernetes/unscaled.ts'
import { findStateful, type StatefulWorkload, showStateful } from '../lib/kubernetes/workloads.ts'
import { phase } from '../lib/migration/phase.ts'
import { refuseNewAddress } from '../lib/recovery/new-address.ts'

export default await phase(
  'drain',
  async (migration) => {
    const { settings } = migration
    const options = drainOptions(migration.flags, settings)
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    const nodes = await nodesToDrain(api, migration.flags, settings)
    // Other nodes keep their disks.
    const isMachine = nodes.includes(settings.nodeName)
    const outlook = (scaledDown: StatefulWorkload[]) =>
      lookAhead(api, nodes, { ...options, scaledDown, now: migration.clock.now() })

    await migration.step('Look at what the drain will meet', async () => {
      if (settings.scenario === 'B') await refuseNewAddress(migration, api)
      const stateful = await findStateful(api, settings)
      const expected = await outlook(stateful)
      await rememberUnready(migration, api)
      showStateful(migration, stateful)
      showUnscaled(migration, await findUnscaled(api, settings))
      showOutlook(migration, expected)
      refuseUntold(expected)
      if (isMachine) await refuseUndecided(migration, api)
    })

    // GitOps first: it would bring back within a minute whatever is scaled down below.
    await migration.step('Suspend Flux', () => suspendFlux(migration, api))
    await migration.step('Suspend Argo CD', () => suspendArgoCd(migration, api))
    await migration.step('Pause operators', () => quietOperators(migration, api))

    await migration.step('Suspend CronJobs', async () =>
      suspendCronJobs(migration, api, await findCronJobs(api, settings)),
    )
    await migration.step('Wait for Jobs', () => jobsAreDone(migration, api))
    await migration.step('Scale down stateful workloads', async () =>
      quietWorkloads(migration, api, await findStateful(api, settings)),
    )

    for (const node of nodes) await migration.step(`Cordon ${node}`, () => cordon(migration, api, node))
    if (isMachine) {
      await migration.step('Copy local volumes off the machine', () => evacuateIfAsked(migration, api))
      await migration.step('See that no volume is lost unasked', () => refuseLoss(migration, api))
    }

    // A dry run has scaled nothing down, so it looks ahead as if it had.
    const scaledDown = migration.dryRun ? await findStateful(api, settings) : []
    await migration.step('Scale down what its budget would keep here for ever', async () => {
      const { toScaleDown } = await outlook(scaledDown)
      await scaleDown(migration, api, toScaleDown)
      scaledDown.push(...(migration.dryRun ? toScaleDown : []))
    })
    const only = options.podSelector === undefined ? '' : ` of ${options.podSelector}`
    await migration.step(`Drain ${nodes.join(', ')}${only}`, async () =>
      drain(migration, api, await outlook(scaledDown), options),
    )
    await migration.step('See that all stays quiet', () => staysQuiet(migration, api, () => quietAgain(migration, api)))
    verifyMachineIsDrained(migration, nodes)
    api.close()
  },
  drainFlags,
)
