#!/usr/bin/env node
import { holdersInCluster } from '../lib/gitops/cluster-holders.ts'
import { resumeArgoCd } from '../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../lib/gitops/resume-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import type { Migration } from '../lib/migration/migration.ts'
import { phase } from '../lib/migration/phase.ts'
import { repeerAws } from '../lib/network/aws/repeer.ts'
import { findRecorded, liqoRuns } from '../lib/network/liqo/find-recorded.ts'
import { Liqoctl } from '../lib/network/liqo/liqoctl.ts'
import { offloadedPodsRun, putOffloadingsBack, virtualNodesAreReady } from '../lib/network/liqo/offloading.ts'
import { openThere } from '../lib/network/liqo/open.ts'
import { peerAgain } from '../lib/network/liqo/peer.ts'
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
    await repeerLiqo(migration, api)
    api.close()
  },
  { hosts: 'boolean', aws: 'boolean' },
)

async function repeerLiqo(migration: Migration, api: KubernetesApi): Promise<void> {
  const { settings, journal } = migration
  const found = await findRecorded(migration, api)
  if (found === undefined) return
  const { peering, here } = found
  await migration.step('Wait for Liqo', () => liqoRuns(migration, here))

  const there = await openThere(settings, 'What was torn down stays recorded in this run.')
  const liqoctl = await Liqoctl.find(settings.liqoctl)
  await migration.step(`Peer with ${peering.there} again`, () =>
    peerAgain(migration, { liqoctl, here, there }, peering, movedAddresses(migration)),
  )
  await migration.step('Offload namespaces again', () => putOffloadingsBack(migration, here, peering))
  await migration.step('Wait for virtual nodes', () => virtualNodesAreReady(migration, { here, there }, peering))

  // Without a drain nobody else takes back what migrate:unpeer had suspended.
  if (journal.phaseState('drain') === 'not begun') {
    await migration.step('Resume Argo CD', () => resumeArgoCd(migration, api))
    await migration.step('Resume Flux', () => resumeFlux(migration, api))
  }
  await migration.step('Wait for what was offloaded', () => offloadedPodsRun(migration, { here, there }))
  for (const side of [here, there]) side.api.close()
}

function movedAddresses({ settings: { nodeAddress, newNodeAddress } }: Migration): ReadonlyMap<string, string> {
  return new Map(newNodeAddress === undefined ? [] : [[nodeAddress, newNodeAddress]])
}
