import type { KubernetesApi } from '../../kubernetes/api.ts'
import { isAgreed } from '../../migration/consent.ts'
import type { Migration } from '../../migration/migration.ts'
import { changeHosts, type HolderOf, outdatedConfigs } from './change-hosts.ts'
import { certificateFor, type NebulaFacts, nebulaFacts, pathOf } from './facts.ts'
import { movesOf } from './moves.ts'
import { findNebulaCert, type NebulaCert } from './nebula-cert.ts'
import { askFromNode } from './peer-job.ts'
import { isInMesh, peerOf, peersAnswer, reachFromHere } from './peers.ts'
import { type Authority, renewCertificate } from './renew.ts'
import { hostMapsInRepository } from './repository.ts'
import { restartNebula } from './restart.ts'
import { showNebula, showOutdated, showRepository } from './show.ts'

/** What the mesh's re-peering needs of others. */
export interface RepeerEffects {
  /** looked up only where Nebula is */
  holderOf: () => Promise<HolderOf>
  authority: Authority
}

/**
 * Brings the mesh to the new addresses: certificate, hosts, restart, and the proof that the peers of MESH_PEERS can be reached.
 * Nebula absent: one sentence.
 * @throws OperatorError for whatever stands in the way
 */
export async function repeerNebula(migration: Migration, api: KubernetesApi, effects: RepeerEffects): Promise<void> {
  const { settings, console, clock } = migration
  let tool: Promise<NebulaCert> | undefined
  const nebulaCert = () => (tool ??= findNebulaCert(settings))
  const facts = await nebulaFacts(api, settings, clock, nebulaCert)
  if (facts === null) return console.info('There is no Nebula in this cluster: nothing to do for a mesh.')
  const moves = movesOf(settings)
  showNebula(migration, facts)
  for (const reason of facts.refused) console.warn(`Not looked at for Nebula: ${reason}`)
  const { homelabDir, outputDir, backupDir } = settings
  showRepository(migration, await hostMapsInRepository(homelabDir, moves, [outputDir, backupDir]), moves)
  const holderOf = await effects.holderOf()
  const written: string[] = []
  const mesh = moves.find(({ of }) => of === 'mesh')
  if (mesh !== undefined) {
    await migration.step(`Give the node a certificate for ${mesh.to}`, async () => {
      const parts = { api, nebulaCert: await nebulaCert(), authority: effects.authority }
      const renewed = await renewCertificate(migration, parts, facts, mesh)
      if (renewed !== undefined) written.push(renewed)
      await warnOfHolder(migration, api, facts, mesh.from, holderOf)
    })
  }
  written.push(...(await bringHosts(migration, api, facts, holderOf)))
  await migration.step('Restart Nebula', () => restartNebula(migration, api, facts, written))
  await migration.step('Ask the peers in the mesh', () => askPeers(migration, api, facts))
}

/** What writes the Secret anew would put the old certificate back. */
async function warnOfHolder(
  { console }: Migration,
  api: KubernetesApi,
  facts: NebulaFacts,
  address: string,
  holderOf: HolderOf,
): Promise<void> {
  const place = certificateFor(facts, address)?.place
  const object = place && (await api.getOrNull(pathOf(place)))
  if (!place || !object) return
  const holder = holderOf({ ...object, kind: place.kind })
  if (holder === undefined) return
  const read = `kubectl -n ${place.namespace} get ${place.kind.toLowerCase()} ${place.name} -o yaml`
  console.warn(
    `${place.kind} ${place.namespace}/${place.name} is written by ${holder}, which would put the old certificate back: give it the new one, key ${place.key}, too (${read}).`,
  )
}

/**
 * Hosts in configs that the cluster alone holds are changed with --hosts, or where ALSO_CHANGE says so; what Git holds is changed there.
 * @returns the texts that were written
 */
async function bringHosts(
  migration: Migration,
  api: KubernetesApi,
  facts: NebulaFacts,
  holderOf: HolderOf,
): Promise<string[]> {
  const { settings, console } = migration
  const outdated = await outdatedConfigs(api, facts, movesOf(settings), holderOf)
  showOutdated(migration, outdated, movesOf(settings))
  const editable = outdated.filter(({ edits }) => edits.length > 0)
  const own = editable.filter(({ holder }) => holder === undefined)
  if (own.length < editable.length) {
    console.info('What Git holds is changed there (task migrate:rewrite-ip), and comes into the cluster by itself.')
  }
  if (own.length === 0) return []
  if (!isAgreed(migration, 'hosts')) {
    console.warn(
      'What only the cluster holds is changed with: task migrate:repeer -- --hosts, or with ALSO_CHANGE=hosts',
    )
    return []
  }
  const texts: string[] = []
  await migration.step('Change static_host_map', async () => {
    for (const each of own) texts.push(await changeHosts(migration, api, facts, each))
  })
  return texts
}

async function askPeers(migration: Migration, api: KubernetesApi, facts: NebulaFacts): Promise<void> {
  const { settings, console } = migration
  const peers = settings.meshPeers.map(peerOf)
  if (peers.length === 0) return console.info('MESH_PEERS is not set: nobody is asked over the mesh.')
  const networks = facts.certificates.filter(({ isCa }) => !isCa).flatMap((each) => each.networks)
  if (isInMesh(networks)) {
    await migration.wait(peersAnswer(peers, settings.apiTimeout, reachFromHere))
    return
  }
  const namespace = facts.workloads[0]?.namespace ?? facts.certificates[0]?.place.namespace
  if (namespace === undefined)
    return console.warn('Where Nebula runs is not known (NEBULA_NAMESPACE): nobody was asked.')
  await askFromNode(migration, api, namespace, peers)
}
