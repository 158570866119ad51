#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { apiIsUp } from '../lib/kubernetes/nodes.ts'
import { phase } from '../lib/migration/phase.ts'
import { showWhatIsLeft } from '../lib/rewrite/cluster/left.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { converge, isQuieted } from '../lib/verify/convergence.ts'
import { openLiveCluster } from '../lib/verify/live-checks.ts'
import { lookAgainst } from '../lib/verify/look.ts'
import { failOnNewlyBroken, showComparison } from '../lib/verify/show.ts'
import { storedBaseline } from '../lib/verify/stored-baseline.ts'
import { keepVerdict } from '../lib/verify/verdict.ts'
import { watch } from '../lib/verify/watch.ts'

export default await phase(
  'verify',
  async (migration) => {
    const { settings, console, flags } = migration
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    const talosctl = await Talosctl.open(settings)

    const before = await storedBaseline(migration)
    if (before) console.info(`Compared with the baseline of ${before.takenAt}.`)
    else console.warn('This run has no baseline: all that is broken counts as new. task migrate:backup takes one.')

    await apiIsUp(migration, api)
    if (await isQuieted(migration, api)) {
      console.warn('The drain is not taken back: what it quieted counts as broken. First: task migrate:resume')
    }

    const look = lookAgainst(before, openLiveCluster(migration, api, talosctl), migration)
    if (flags.watch) await watch(migration, look)
    const result = await converge(migration, api, look)

    showComparison(console, result)
    await keepVerdict(migration, result)
    await showWhatIsLeft(migration, api)
    api.close()
    failOnNewlyBroken(result)
  },
  { watch: 'boolean' },
)
