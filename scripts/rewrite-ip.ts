#!/usr/bin/env node
import { pointKubeconfigs } from '../lib/kubernetes/kubeconfig-server.ts'
import { isAgreed } from '../lib/migration/consent.ts'
import { phase } from '../lib/migration/phase.ts'
import { namesOf, resolveBefore, resolveNames, resolverWith, showNames } from '../lib/network/names.ts'
import { rewriteHosts, systemSudo } from '../lib/network/rewrite-hosts.ts'
import { clusterInReach } from '../lib/rewrite/cluster/reach.ts'
import { rewriteFlags } from '../lib/rewrite/flags.ts'
import { describeMappings, mappingsFrom } from '../lib/rewrite/mapping.ts'
import { printDefaultRules } from '../lib/rewrite/rules.ts'
import { rewriteRepository } from '../lib/rewrite/run.ts'
import { findIn, spellingsOf } from '../lib/rewrite/spellings.ts'
import { takeBackRewrites } from '../lib/rewrite/take-back.ts'
import { pointTalosconfigs } from '../lib/talos/talosconfig-address.ts'
import { readHosts } from '../lib/verify/hosts.ts'

export default await phase(
  'rewrite-ip',
  async (migration) => {
    const { flags, settings } = migration
    if (flags['print-rules']) return printDefaultRules(migration)
    if (flags.undo) {
      const { undoingOfRewrite } = await import('../lib/recovery/undo-rewrite.ts')
      const undoing = undoingOfRewrite(migration, systemSudo)
      await migration.step('Take the rewrite back', () => takeBackRewrites(migration, undoing))
      return
    }
    const mappings = mappingsFrom(flags, settings)
    // What becomes what is part of the title: another address is another step.
    const step = <T extends string>(title: T) => `${title}: ${describeMappings(mappings)}`
    await migration.step(step('Rewrite the repository'), () => rewriteRepository(migration, mappings))

    const talosctl = async (talosconfig: string) => {
      const { Talosctl } = await import('../lib/talos/talosctl.ts')
      return Talosctl.open({ ...settings, talosconfig })
    }
    const talosconfigs = [settings.talosconfig, settings.operatorTalosconfig]
    await migration.step(step('Point talosconfigs at the new address'), () =>
      pointTalosconfigs(migration, talosctl, talosconfigs, mappings),
    )
    await migration.step(step('Point kubeconfigs at the new address'), () =>
      pointKubeconfigs(migration, [settings.kubeconfig, settings.operatorKubeconfig], mappings),
    )

    const api = await clusterInReach(migration)
    const resolver = resolverWith(settings.hostsFile)
    const names = await namesOf(settings, api ? (await readHosts(api)).map(({ host }) => host) : [])
    const before = await migration.step(step('Resolve the names'), () => resolveBefore(migration, names, resolver))
    const toDo = await migration.step(step('Rewrite the hosts file'), () =>
      rewriteHosts(migration, systemSudo, mappings),
    )
    await migration.step(step('Resolve the names again'), async () =>
      showNames(migration, before, await resolveNames(names, resolver), mappings),
    )

    const spellings = mappings.flatMap(spellingsOf)
    const find = (text: string) => findIn(text, spellings).hits
    if (api) {
      const { listInCluster } = await import('../lib/rewrite/cluster/list.ts')
      const addresses = mappings.map(({ from }) => from).join(', ')
      await migration.step(step('List what in the cluster still holds the old address'), () =>
        listInCluster(migration, api, find, { addresses, change: isAgreed(migration, 'cluster') }),
      )
      api.close()
    }
    if (toDo) migration.console.warn(`The hosts file is still to be written, by you: ${toDo}`)
  },
  rewriteFlags,
)
