import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateX25519Identity } from 'age-encryption'
import test from 'ava'
import { repeerNebula } from '../../lib/network/nebula/repeer.ts'
import { meshAuthority } from '../../lib/recovery/mesh-authority.ts'
import { isOfMesh, meshProof } from '../../lib/rehearsal/nebula/mesh-proof.ts'
import { canTunnel } from '../../lib/rehearsal/nebula/networks.ts'
import {
  makePracticeMesh,
  meshAddresses,
  meshNamespace,
  meshPaths,
  type PracticeMesh,
} from '../../lib/rehearsal/nebula/practice-mesh.ts'
import { type MeshAtWork, runMesh, whyNoNetworks } from '../../lib/rehearsal/nebula/run-mesh.ts'
import type { Proof } from '../../lib/rehearsal/proofs.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { type BareCluster, startBareCluster, until } from '../kubernetes/bare-cluster.ts'
import { makeNode } from '../kubernetes/draining.ts'
import { punctualPods } from '../kubernetes/punctual-pods.ts'
import { testMigration } from '../kubernetes/test-migration.ts'
import { makeAuthority, nebula, nebulaCert } from '../network/nebula/authority.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const old = ['192.168.1.54', meshAddresses.old]
let cluster: BareCluster
let mesh: PracticeMesh
let identity: string
let atWork: MeshAtWork | null = null
/** of the machine that is on */
let machine: string | undefined

test.before(async () => {
  cluster = await startBareCluster({ pods: true, stages: punctualPods })
  await makeNode(cluster.api, 'talos00')
})

const prove = (said: string): Promise<Proof> => meshProof(cluster.api, mesh, said, old)

/** As an operator's settings say it, who has that identity. */
function moving(ageIdentityFile: string, flags: Record<string, boolean> = {}) {
  const moved = { NEW_TALOS_NODE: '192.168.1.57', NEW_MESH_ADDRESS: meshAddresses.new }
  const homelab = { HOMELAB_DIR: temporaryFolder('homelab'), AGE_IDENTITY_FILE: ageIdentityFile }
  return testMigration({ ...mesh.settings, ...atWork?.settings, ...moved, ...homelab }, { flags })
}

async function openKey(ageIdentityFile: string): Promise<string | undefined> {
  const { openKey } = await meshAuthority(moving(ageIdentityFile).migration)
  return openKey?.()
}

/** @returns what was said */
async function repeer(flags: Record<string, boolean> = {}): Promise<string> {
  const { migration, lines } = moving(identity, flags)
  const authority = await meshAuthority(migration)
  await repeerNebula(migration, cluster.api, { holderOf: async () => () => undefined, authority })
  return lines.join('\n')
}

test.after.always(async () => {
  await atWork?.stop()
  await cluster?.stop()
})

test.serial('the CA’s key of a practice mesh is only to be had with the operator’s identity', async (t) => {
  const folder = temporaryFolder('operator')
  identity = join(folder, 'identity.txt')
  writeFileSync(identity, `${await generateX25519Identity()}\n`, { mode: 0o600 })
  const place = { nodeName: 'talos00', nodeAddress: '192.168.1.54', folder, ageIdentityFile: identity }
  mesh = await makePracticeMesh({ api: cluster.api, nebulaCert, ...place })
  t.false(readFileSync(mesh.settings.NEBULA_CA_KEY ?? '', 'utf8').includes('PRIVATE KEY'))
  t.regex((await openKey(identity)) ?? '', /BEGIN NEBULA ED25519 PRIVATE KEY/)
  const other = join(folder, 'other.txt')
  writeFileSync(other, `${await generateX25519Identity()}\n`, { mode: 0o600 })
  await t.throwsAsync(openKey(other))
})

test.serial(
  'real Nebula processes carry the mesh where this machine lets them, and else it is said why not',
  async (t) => {
    machine = 'old'
    const node = { nebula, kubeconfig: cluster.kubeconfig, machine: () => machine }
    atWork = await runMesh(node, mesh)
    t.is(atWork !== null, canTunnel())
    if (atWork === null) return t.regex(whyNoNetworks, /so that no real Nebula ran$/)
    t.deepEqual(atWork.settings, { MESH_PEERS: '10.42.0.1:6443' })
    const { holds, against } = await atWork.proof('', 3)
    t.false(holds)
    t.deepEqual(against, [
      `the lighthouse does not reach ${meshAddresses.new}`,
      `the lighthouse still reaches ${meshAddresses.old}`,
      'the run has not asked 10.42.0.1:6443',
    ])
  },
)

test.serial('before the mesh has followed the machine, nothing is proven', async (t) => {
  const { holds, against } = await prove('')
  t.false(holds)
  t.true(against.includes(`it is for ${meshAddresses.old}/16`))
  t.true(against.includes('the DaemonSet was not restarted'))
  t.true(against.some((line) => line.includes('static-hosts, config.yml holds an old address')))
})

test.serial(
  'after it, all of its namespace is as before but for two objects, and of those the proof says what changed',
  async (t) => {
    const before = await readTruth(cluster.api)
    const said = await repeer()
    t.deepEqual((await prove(said)).against, [])
    // The node's Nebula is another process now, with the certificate for its new address; and the run has asked over the mesh.
    if (atWork) t.deepEqual((await atWork.proof(said, 60)).against, [])
    t.deepEqual((await prove('')).against, [
      'ConfigMap nebula-practice/static-hosts, config.yml holds an old address, and nobody said so',
    ])
    const after = await readTruth(cluster.api)
    const changed = [...before].filter(([key, { content }]) => after.has(key) && after.get(key)?.content !== content)
    const told = changed.filter(
      ([, { namespace, resource }]) => namespace === meshNamespace && !['events', 'pods'].includes(resource),
    )
    t.deepEqual(told.map(([key]) => key).toSorted(), [
      'daemonsets.apps nebula-practice/nebula',
      'secrets nebula-practice/nebula-certs',
    ])
    t.true(told.every(([, one]) => isOfMesh(one)))
    t.is([...before.values()].filter(isOfMesh).length, 2)
  },
)

test.serial('where static_host_map was changed too, nothing need be named', async (t) => {
  await repeer({ hosts: true })
  const { holds, evidence } = await prove('')
  t.true(holds)
  t.true(evidence.includes('static_host_map has the new addresses'))
})

test.serial('a machine that is off is in no mesh, and the one that takes its place is', async (t) => {
  const work = atWork
  if (work === null) return t.false(canTunnel())
  const said = await repeer()
  machine = undefined
  // What ran on it goes on until it is noticed that the machine is off.
  await until('it is out of the mesh', async () => {
    const { against } = await work.proof(said, 1)
    return against.includes(`the lighthouse does not reach ${meshAddresses.new}`)
  })
  machine = 'new'
  t.deepEqual((await work.proof(said, 60)).against, [])
})

test.serial('whatever else of the Secret or the DaemonSet changes speaks against it', async (t) => {
  const secret = await cluster.api.get(meshPaths.secret)
  const data = secret.data as Record<string, string>
  const withSecret = (key: string, value: string) =>
    cluster.api.mergePatch(meshPaths.secret, { data: { [key]: Buffer.from(value).toString('base64') } })
  await withSecret('host.key', 'another')
  t.deepEqual((await prove('')).against, ['the Secret says something else than before'])
  await cluster.api.mergePatch(meshPaths.secret, { data })
  await withSecret(
    'host.crt',
    makeAuthority('stranger').host('talos00', '10.42.1.57/16', '-groups', 'homelab,k8s').certificate,
  )
  const strange = (await prove('')).against
  t.true(strange.some((line) => line.startsWith('its CA does not vouch for it')))
  t.true(strange.some((line) => line.startsWith('its publicKey is')))
  await cluster.api.mergePatch(meshPaths.secret, { data })
  t.deepEqual((await prove('')).against, [])
  await cluster.api.mergePatch(meshPaths.workload, { spec: { minReadySeconds: 1 } })
  t.deepEqual((await prove('')).against, ['the DaemonSet says something else than before'])
})
