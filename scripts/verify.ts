#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { apiIsUp } from '../lib/kubernetes/nodes.ts'
import { phase } from '../lib/migration/phase.ts'
import { showWhatIsLeft } from '../lib/rewrite/cluster/left.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { takeBaseline } from '../lib/verify/baseline.ts'
import { converge, isQuieted } from '../lib/verify/convergence.ts'
import { ingressFindings } from '../lib/verify/ingress.ts'
import { controlPlane, etcdFindings, oldAddressFindings } from '../lib/verify/machines.ts'
import { failOnNewlyBroken, showComparison } from '../lib/verify/show.ts'
import { storedBaseline } from '../lib/verify/stored-baseline.ts'
import { keepVerdict } from '../lib/verify/verdict.ts'

export default await phase('verify', async (migration) => {
  const { settings } = migration
  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  const talosctl = await Talosctl.open(settings)
  const target = controlPlane(settings)

  const stored = await storedBaseline(migration)
  if (stored) migration.console.info(`Compared with the baseline of ${stored.takenAt}.`)
  else
    migration.console.warn('This run has no baseline: all that is broken counts as new. task migrate:backup takes one.')

  await apiIsUp(migration, api)
  if (await isQuieted(migration, api)) {
    migration.console.warn('The drain is not taken back: what it quieted counts as broken. First: task migrate:resume')
  }

  const before = stored ?? (await takeBaseline(api))
  const result = await converge(migration, api, before, async () => [
    ...(await etcdFindings(talosctl, target)),
    ...(await oldAddressFindings(settings)),
    ...(await ingressFindings(before, target.address)),
  ])

  showComparison(migration.console, result)
  await keepVerdict(migration, result)
  await showWhatIsLeft(migration, api)
  api.close()
  failOnNewlyBroken(result)
})
