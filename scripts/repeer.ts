#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { openEncryptedFile } from '../lib/backup/keys.ts'
import { holdersInCluster } from '../lib/gitops/cluster-holders.ts'
import { resumeArgoCd } from '../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../lib/gitops/resume-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { messageOf, OperatorError } from '../lib/migration/errors.ts'
import type { Migration } from '../lib/migration/migration.ts'
import { phase } from '../lib/migration/phase.ts'
import { repeerAws } from '../lib/network/aws/repeer.ts'
import { repeerLiqo } from '../lib/network/liqo/repeer.ts'
import { movesOf } from '../lib/network/nebula/moves.ts'
import type { Authority } from '../lib/network/nebula/renew.ts'
import { repeerNebula } from '../lib/network/nebula/repeer.ts'

export default await phase(
  'repeer',
  async (migration) => {
    const { settings } = migration
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    // The mesh first: whatever else is peered goes through it.
    await repeerNebula(migration, api, {
      holderOf: () => holdersInCluster(api),
      authority: await authorityOf(migration),
    })
    await repeerAws(migration, async () => (await import('../lib/network/aws/ec2.ts')).connectEc2(settings))
    await repeerLiqo(migration, api, {
      moves: movesOf(settings),
      resumeGitOps: async () => {
        await resumeArgoCd(migration, api)
        await resumeFlux(migration, api)
      },
    })
    api.close()
  },
  { hosts: 'boolean', aws: 'boolean' },
)

/** The CA of the mesh, as NEBULA_CA_CERT and NEBULA_CA_KEY name it. */
async function authorityOf(migration: Migration): Promise<Authority> {
  const { nebulaCaCert, nebulaCaKey } = migration.settings
  const certificate =
    nebulaCaCert === undefined
      ? undefined
      : await readFile(nebulaCaCert, 'utf8').catch((error: unknown) => {
          throw new OperatorError(`${nebulaCaCert} (NEBULA_CA_CERT) cannot be read: ${messageOf(error)}`, {
            exitCode: 2,
          })
        })
  const openKey =
    nebulaCaKey === undefined ? undefined : () => openEncryptedFile(migration, nebulaCaKey, 'NEBULA_CA_KEY')
  return { certificate, openKey }
}
