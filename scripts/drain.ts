#!/usr/bin/env node
import { staysQuiet } from '../lib/gitops/stay-quiet.ts'
import { suspendArgoCd } from '../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../lib/gitops/suspend-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { findCronJobs, suspendCronJobs } from '../lib/kubernetes/cronjobs.ts'
import { drain, lookAhead, refuseUnmanaged, showOutlook } from '../lib/kubernetes/drain.ts'
import { jobsAreDone } from '../lib/kubernetes/jobs.ts'
import { cordon, getNode } from '../lib/kubernetes/nodes.ts'
import { findOperated, pauseAgain, pauseOperators } from '../lib/kubernetes/operators.ts'
import { quietWorkloads } from '../lib/kubernetes/quiet.ts'
import { rememberUnready } from '../lib/kubernetes/readiness.ts'
import { scaleDown, scaleDownAgain } from '../lib/kubernetes/scale.ts'
import { findStrangers, stopStrangers } from '../lib/kubernetes/strangers.ts'
import { findUnscaled, showUnscaled } from '../lib/kubernetes/unscaled.ts'
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
      showUnscaled(migration, await findUnscaled(api, settings))
      showOutlook(migration, outlook)
      refuseUnmanaged(outlook)
    })

    // GitOps first: it would bring back within a minute whatever is scaled down below.
    await migration.step('Suspend Flux', () => suspendFlux(migration, api))
    await migration.step('Suspend Argo CD', () => suspendArgoCd(migration, api))
    await migration.step('Pause operators', async () => {
      const deaf = await pauseOperators(migration, api, await findOperated(api))
      return stopStrangers(migration, api, await findStrangers(api, await findStateful(api, settings), deaf))
    })

    await migration.step('Suspend CronJobs', async () =>
      suspendCronJobs(migration, api, await findCronJobs(api, settings)),
    )
    await migration.step('Wait for Jobs', () => jobsAreDone(migration, api))
    await migration.step('Scale down stateful workloads', async () =>
      quietWorkloads(migration, api, await findStateful(api, settings)),
    )

    await migration.step(`Cordon ${nodeName}`, () => cordon(migration, api, nodeName))
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
      staysQuiet(migration, api, async () => [
        ...(await pauseAgain(migration, api)),
        ...(await scaleDownAgain(migration, api)),
      ]),
    )
    api.close()
  },
  { force: 'boolean' },
)
