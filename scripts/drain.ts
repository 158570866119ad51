#!/usr/bin/env node
import { staysQuiet } from '../lib/gitops/stay-quiet.ts'
import { suspendArgoCd } from '../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../lib/gitops/suspend-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { findCronJobs, suspendCronJobs } from '../lib/kubernetes/cronjobs.ts'
import { drain, lookAhead, refuseUnmanaged, showOutlook } from '../lib/kubernetes/drain.ts'
import { evacuateIfAsked } from '../lib/kubernetes/evacuation/evacuate.ts'
import { refuseLoss, refuseUndecided } from '../lib/kubernetes/evacuation/loss.ts'
import { cordon, getNode } from '../lib/kubernetes/nodes.ts'
import { findOperated, pauseOperators, warnOfStrangers } from '../lib/kubernetes/operators.ts'
import { rememberUnready } from '../lib/kubernetes/readiness.ts'
import { scaleDown, scaleDownAgain } from '../lib/kubernetes/scale.ts'
import { findStateful, showStateful } from '../lib/kubernetes/workloads.ts'
import { phase } from '../lib/migration/phase.ts'

export default await phase(
  'drain',
  async (migration) => {
    const { settings } = migration
    const { nodeName } = settings
    const force = migration.flags.force === true
    const api = await KubernetesApi.fromFile(settings.kubeconfig)

    await migration.step('Look at what the drain will meet', async () => {
      await getNode(api, nodeName)
      const stateful = await findStateful(api, settings)
      const outlook = await lookAhead(api, nodeName, { force, scaledDown: stateful })
      await rememberUnready(migration, api)
      showStateful(migration, stateful)
      showOutlook(migration, outlook)
      refuseUnmanaged(outlook)
      await refuseUndecided(migration, api)
    })

    // GitOps first: it would bring back within a minute whatever is scaled down below.
    await migration.step('Suspend Flux', () => suspendFlux(migration, api))
    await migration.step('Suspend Argo CD', () => suspendArgoCd(migration, api))
    await migration.step('Pause operators', async () => {
      warnOfStrangers(migration, await findStateful(api, settings))
      return pauseOperators(migration, api, await findOperated(api))
    })

    await migration.step('Suspend CronJobs', async () =>
      suspendCronJobs(migration, api, await findCronJobs(api, settings)),
    )
    await migration.step('Scale down stateful workloads', async () =>
      scaleDown(migration, api, await findStateful(api, settings)),
    )

    await migration.step(`Cordon ${nodeName}`, () => cordon(migration, api, nodeName))
    await migration.step('Copy local volumes off the machine', () => evacuateIfAsked(migration, api))
    await migration.step('See that no volume is lost unasked', () => refuseLoss(migration, api))

    // A dry run has scaled nothing down, so it looks ahead as if it had.
    const scaledDown = migration.dryRun ? await findStateful(api, settings) : []
    await migration.step('Scale down what its budget would keep here for ever', async () => {
      const { toScaleDown } = await lookAhead(api, nodeName, { force, scaledDown })
      await scaleDown(migration, api, toScaleDown)
      scaledDown.push(...(migration.dryRun ? toScaleDown : []))
    })
    await migration.step(`Drain ${nodeName}`, async () =>
      drain(migration, api, await lookAhead(api, nodeName, { force, scaledDown })),
    )
    await migration.step('See that all stays quiet', () =>
      staysQuiet(migration, api, () => scaleDownAgain(migration, api)),
    )
    api.close()
  },
  { force: 'boolean' },
)
