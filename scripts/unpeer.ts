#!/usr/bin/env node
import { madeAnewFromGit } from '../lib/gitops/git-owner.ts'
import { calledIn } from '../lib/gitops/holders.ts'
import { suspendArgoCd } from '../lib/gitops/suspend-argocd.ts'
import { suspendFlux } from '../lib/gitops/suspend-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { findPeering } from '../lib/network/liqo/find-peering.ts'
import { leftOvers, nothingIsLeft, otherOf } from '../lib/network/liqo/left-overs.ts'
import { Liqoctl } from '../lib/network/liqo/liqoctl.ts'
import { removeHere, removeOrphans } from '../lib/network/liqo/orphans.ts'
import { isToBeTornDown, unpeer } from '../lib/network/liqo/unpeer.ts'

export default await phase(
  'unpeer',
  async (migration) => {
    const { settings, flags, console } = migration
    const localOnly = flags['local-only'] === true
    const removing = flags['remove-orphans'] === true
    const api = await KubernetesApi.fromFile(settings.kubeconfig)

    const found = await findPeering(migration, api, localOnly)
    if (found === undefined) return api.close()
    const { peering, here, there } = found
    const decided = await migration.step('Decide whether to tear the peering down', () =>
      isToBeTornDown(migration, peering),
    )
    if (!decided) {
      console.info(
        `The peering with ${peering.there} is left as it is. migrate:repeer makes it again over what is there.`,
      )
      return api.close()
    }

    await migration.step('See whether Git would bring it back', async () => {
      const anew = await madeAnewFromGit(api, await leftOvers(here, peering.there))
      for (const one of anew) console.warn(`${calledIn(one)} comes from Git: ${one.holder} would make it again.`)
      if (anew.length === 0) return
      console.info('GitOps is suspended first, as migrate:drain does it; migrate:resume takes that back.')
      await suspendFlux(migration, api)
      await suspendArgoCd(migration, api)
    })

    if (there === undefined) {
      await migration.step('Remove this cluster’s half', () => removeHere(migration, here, peering))
    } else {
      const liqoctl = await Liqoctl.find(settings.liqoctl)
      await migration.step(`Unpeer from ${peering.there}`, () =>
        unpeer(migration, { liqoctl, here, there }, peering, removing),
      )
    }
    const sides = there === undefined ? [here] : [here, there]
    if (removing) {
      await migration.step('Remove what is left', async () => {
        for (const side of sides) await removeOrphans(migration, await leftOvers(side, otherOf(side, peering)))
      })
    }
    await migration.step('Wait until nothing is left', () => nothingIsLeft(migration, sides, peering))
    if (there === undefined) {
      console.warn(
        `${peering.there} still holds its half. When it answers again: task migrate:unpeer -- --remove-orphans`,
      )
    }
    for (const side of sides) side.api.close()
  },
  { 'remove-orphans': 'boolean', 'local-only': 'boolean' },
)
