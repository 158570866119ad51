#!/usr/bin/env node
import { holdersInCluster } from '../lib/gitops/cluster-holders.ts'
import { argoCdIsSynced, resumeArgoCd } from '../lib/gitops/resume-argocd.ts'
import { fluxIsReady, resumeFlux } from '../lib/gitops/resume-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { repeerAws } from '../lib/network/aws/repeer.ts'
import { repeerLiqo } from '../lib/network/liqo/repeer.ts'
import { movesOf } from '../lib/network/nebula/moves.ts'
import { repeerNebula } from '../lib/network/nebula/repeer.ts'
import { meshAuthority } from '../lib/recovery/mesh-authority.ts'

export default await phase(
  'repeer',
  async (migration) => {
    const { settings } = migration
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    // The mesh first: whatever else is peered goes through it.
    const authority = await meshAuthority(migration)
    await repeerNebula(migration, api, { holderOf: () => holdersInCluster(api), authority })
    await repeerAws(migration, async () => (await import('../lib/network/aws/ec2.ts')).connectEc2(settings))
    await repeerLiqo(migration, api, {
      moves: movesOf(settings),
      resumeGitOps: async () => {
        await resumeArgoCd(migration, api)
        await resumeFlux(migration, api)
      },
      gitOpsIsReady: async () => {
        await argoCdIsSynced(migration, api)
        await fluxIsReady(migration, api)
      },
    })
    api.close()
  },
  { hosts: 'boolean', aws: 'boolean' },
)
