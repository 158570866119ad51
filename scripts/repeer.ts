#!/usr/bin/env node
import { resumeArgoCd } from '../lib/gitops/resume-argocd.ts'
import { resumeFlux } from '../lib/gitops/resume-flux.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { findRecorded, liqoRuns } from '../lib/network/liqo/find-recorded.ts'
import { Liqoctl } from '../lib/network/liqo/liqoctl.ts'
import { offloadedPodsRun, putOffloadingsBack, virtualNodesAreReady } from '../lib/network/liqo/offloading.ts'
import { openThere } from '../lib/network/liqo/open.ts'
import { peerAgain } from '../lib/network/liqo/peer.ts'

export default await phase('repeer', async (migration) => {
  const { settings, journal } = migration
  const api = await KubernetesApi.fromFile(settings.kubeconfig)

  const found = await findRecorded(migration, api)
  if (found === undefined) return api.close()
  const { peering, here } = found
  await migration.step('Wait for Liqo', () => liqoRuns(migration, here))

  const there = await openThere(settings, 'What was torn down stays recorded in this run.')
  const liqoctl = await Liqoctl.find(settings.liqoctl)
  await migration.step(`Peer with ${peering.there} again`, () =>
    peerAgain(migration, { liqoctl, here, there }, peering, movedAddresses()),
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

  function movedAddresses(): ReadonlyMap<string, string> {
    const { nodeAddress, newNodeAddress } = settings
    return new Map(newNodeAddress === undefined ? [] : [[nodeAddress, newNodeAddress]])
  }
})
