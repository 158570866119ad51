#!/usr/bin/env node
import { encryptToFile } from '../lib/backup/encrypt-to-file.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { parseAddress } from '../lib/network/addresses.ts'
import { joinControlPlane } from '../lib/recovery/join.ts'
import { waysIn } from '../lib/talos/join/endpoints.ts'
import { memberStates } from '../lib/talos/join/members.ts'
import { nodesToJoin } from '../lib/talos/join/nodes.ts'
import { describeTolerance, refuseToEndAtTwo } from '../lib/talos/join/quorum.ts'
import { liveMachineConfig, parseMachineConfig } from '../lib/talos/machine-config.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import { testRedundancy } from '../lib/verify/join/redundancy.ts'
import { offerSharedEndpoint } from '../lib/verify/join/show.ts'

export default await phase('join', async (migration) => {
  const { settings } = migration
  const nodes = nodesToJoin(settings)
  const talosctl = await Talosctl.open(settings)
  const api = await KubernetesApi.fromFile(settings.kubeconfig)
  const tools = { talosctl, api, encrypt: await encryptToFile(migration) }

  for (const node of nodes) await joinControlPlane(migration, tools, node)

  const members = await memberStates(talosctl, await waysIn(settings))
  const voters = members.filter(({ learner }) => !learner).length
  if (voters > 2) await migration.step('Test the redundancy', () => testRedundancy(migration, talosctl, api))

  const address = members[0]?.address ?? parseAddress(settings.nodeAddress, 'TALOS_NODE')
  const config = parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${address}`)
  offerSharedEndpoint(migration, config, members)
  api.close()
  if (migration.dryRun) return
  refuseToEndAtTwo(members)
  migration.console.info(`etcd: ${describeTolerance(voters)}.`)
})
