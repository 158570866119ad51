import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { holdersInCluster } from '../../../lib/gitops/cluster-holders.ts'
import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { OperatorError } from '../../../lib/migration/errors.ts'
import type { Journal } from '../../../lib/migration/journal.ts'
import { takeBackHosts } from '../../../lib/network/nebula/change-hosts.ts'
import { findNebulaCert } from '../../../lib/network/nebula/nebula-cert.ts'
import { takeBackMeshCheck } from '../../../lib/network/nebula/peer-job.ts'
import { type Authority, takeBackCertificate } from '../../../lib/network/nebula/renew.ts'
import { repeerNebula } from '../../../lib/network/nebula/repeer.ts'
import { type BareCluster, installDefinitions, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { makeNode } from '../../kubernetes/draining.ts'
import { punctualPods } from '../../kubernetes/punctual-pods.ts'
import { testMigration } from '../../kubernetes/test-migration.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { makeAuthority, nebulaCert } from './authority.ts'
import { config, installMesh, restartedFor, runJob } from './homelab-mesh.ts'

const authority = makeAuthority('homelab', '-ips', '10.42.0.0/16', '-duration', '720h')
const ours: Authority = { certificate: authority.certificate, openKey: async () => authority.key }
const homelab = temporaryFolder('homelab')
let cluster: BareCluster
let api: KubernetesApi

test.before(async () => {
  cluster = await startBareCluster({ pods: true, stages: punctualPods })
  api = cluster.api
  await makeNode(api, 'talos00')
})

test.after.always(() => cluster?.stop())

interface Wishes {
  settings?: Record<string, string>
  flags?: Record<string, boolean>
  authority?: Authority
  journal?: Journal
  dryRun?: boolean
}

/** Re-peers the mesh in one namespace, as the script does. */
async function repeer(namespace: string, wishes: Wishes = {}) {
  const settings = { NEBULA_NAMESPACE: namespace, NEBULA_CERT: nebulaCert, HOMELAB_DIR: homelab, ...wishes.settings }
  const { journal, dryRun = false, flags = {} } = wishes
  const test = testMigration(settings, { dryRun, flags, ...(journal ? { journal } : {}) })
  const effects = { holderOf: () => holdersInCluster(api), authority: wishes.authority ?? ours }
  await repeerNebula(test.migration, api, effects)
  return test
}

const newMesh = { NEW_MESH_ADDRESS: '10.42.9.9' }
const newBoth = { ...newMesh, NEW_TALOS_NODE: '192.168.1.210' }

/** The API for a run that is killed where it first makes a call of that kind. */
function killedAt(call: 'jsonPatch' | 'mergePatch'): KubernetesApi {
  const killed = () => Promise.reject(new Error('killed'))
  const get = (target: KubernetesApi, name: string | symbol) => {
    const value = name === call ? killed : target[name as keyof KubernetesApi]
    return typeof value === 'function' ? value.bind(target) : value
  }
  return new Proxy(api, { get })
}

async function networksIn(certificate: string | undefined): Promise<readonly string[]> {
  const tool = await findNebulaCert({ nebulaCert, memoryDir: '/dev/shm' })
  const [printed] = await tool.print(certificate ?? '', 'the test')
  return printed?.networks ?? []
}

test.serial('where there is no Nebula, one sentence says so, and no nebula-cert is needed', async (t) => {
  const { lines } = await repeer('default', { settings: { NEBULA_CERT: '/nowhere' } })
  t.deepEqual(lines, ['info There is no Nebula in this cluster: nothing to do for a mesh.'])
})

test.serial('without a new mesh address it is shown what there is, and nothing is changed', async (t) => {
  const mesh = await installMesh(api, 'shown', authority)
  const { lines, journal } = await repeer('shown')
  const said = lines.join('\n')
  t.regex(said, /talos00.*10\.42\.1\.1\/16.*homelab, k8s/)
  t.regex(said, /homelab \(CA\)/)
  t.regex(said, /10\.42\.0\.1.*203\.0\.113\.10:4242.*lighthouse/)
  t.true(lines.some((line) => line.startsWith('warn The certificate of talos00') && line.includes('ends in 29 days')))
  t.deepEqual(journal.changes(), [])
  t.is((await mesh.secret())['host.crt'], mesh.host.certificate)
  t.false(said.includes('PRIVATE KEY'))
})

test.serial('a dry run opens the key and signs, shows what would be done, and changes nothing', async (t) => {
  const mesh = await installMesh(api, 'dry', authority)
  const { lines } = await repeer('dry', { settings: newBoth, flags: { hosts: true }, dryRun: true })
  const would = lines.filter((line) => line.startsWith('change'))
  t.true(
    would.some((line) => line.includes('put the certificate of talos00 for 10.42.9.9 into Secret dry/nebula-certs')),
  )
  t.true(would.some((line) => line.includes('change 2 addresses in ConfigMap dry/nebula, config.yml')))
  t.is((await mesh.secret())['host.crt'], mesh.host.certificate)
  t.true(would.some((line) => line.includes('restart DaemonSet dry/nebula')))
  t.is(await mesh.configMap(), config)
  t.is(restartedFor(await mesh.daemonSet()), undefined)
})

test.serial(
  'a new mesh address: new certificate for the same key, new pods, and all of it can be taken back',
  async (t) => {
    const mesh = await installMesh(api, 'moved', authority)
    const podsBefore = await pods('moved')
    const { journal, lines, migration } = await repeer('moved', { settings: newMesh })
    const after = await mesh.secret()
    t.deepEqual(await networksIn(after['host.crt']), ['10.42.9.9/16'])
    t.is(after['host.key'], mesh.host.key)
    t.is(after['ca.crt'], authority.certificate)
    t.notDeepEqual(await pods('moved'), podsBefore)
    t.true(lines.some((line) => line.startsWith('step Restart Nebula done')))
    t.false(JSON.stringify(journal.records).includes('PRIVATE KEY'))
    t.true(lines.some((line) => line.includes('line 6, holds 10.42.1.1 too')))

    const again = await repeer('moved', { settings: newMesh })
    t.deepEqual(again.journal.changes(), [])
    t.true(again.lines.includes('info There is a certificate for 10.42.9.9 already.'))

    const [change] = journal.changes({ kind: 'nebula-certificate' })
    if (!change) return t.fail()
    const restarted = restartedFor(await mesh.daemonSet())
    t.is(await takeBackCertificate(api, change), 'undone')
    t.deepEqual(await mesh.secret(), { ...after, 'host.crt': mesh.host.certificate })
    t.not(restartedFor(await mesh.daemonSet()), restarted)
    t.is(await takeBackCertificate(api, change), 'already')
    await migration.undo(change, () => takeBackCertificate(api, change))
    const other = authority.host('talos01', '10.42.1.2/16').certificate
    const data = { 'host.crt': Buffer.from(other).toString('base64') }
    await api.mergePatch('/api/v1/namespaces/moved/secrets/nebula-certs', { data })
    t.regex(await takeBackCertificate(api, change), /^conflict: another certificate/)
  },
)

test.serial('a run that was killed before the restart restarts, and signs no second certificate', async (t) => {
  const mesh = await installMesh(api, 'killed', authority)
  const first = testMigration({}).journal
  const broken = killedAt('mergePatch')
  const test = testMigration({ ...newMesh, NEBULA_NAMESPACE: 'killed', NEBULA_CERT: nebulaCert }, { journal: first })
  const effects = { holderOf: () => holdersInCluster(api), authority: ours }
  await t.throwsAsync(repeerNebula(test.migration, broken, effects), { message: 'killed' })
  const signed = (await mesh.secret())['host.crt']
  t.not(signed, mesh.host.certificate)
  t.is(restartedFor(await mesh.daemonSet()), undefined)
  await repeer('killed', { settings: newMesh, journal: first })
  t.is((await mesh.secret())['host.crt'], signed)
  t.not(restartedFor(await mesh.daemonSet()), undefined)
})

test.serial(
  'a run that was killed between journal and Secret puts the certificate there that the journal has',
  async (t) => {
    const mesh = await installMesh(api, 'torn', authority)
    const { journal } = testMigration({})
    const broken = killedAt('jsonPatch')
    const settings = { ...newMesh, NEBULA_NAMESPACE: 'torn', NEBULA_CERT: nebulaCert }
    const effects = { holderOf: () => holdersInCluster(api), authority: ours }
    const first = testMigration(settings, { journal })
    await t.throwsAsync(repeerNebula(first.migration, broken, effects), { message: 'killed' })
    t.is((await mesh.secret())['host.crt'], mesh.host.certificate)
    await repeer('torn', { settings: newMesh, journal })
    const [change, ...more] = journal.changes({ kind: 'nebula-certificate' })
    t.deepEqual(more, [])
    t.is((await mesh.secret())['host.crt'], change?.undo?.is as string)
  },
)

test.serial("without the CA's key, or with another CA, nothing is signed and it is said what is needed", async (t) => {
  const mesh = await installMesh(api, 'refused', authority)
  const refusal = async (authority: Authority, settings: Record<string, string> = newMesh) =>
    t.throwsAsync(repeer('refused', { settings, authority }), { instanceOf: OperatorError })
  const none = await refusal({ certificate: undefined, openKey: undefined })
  t.is(none.what, "talos00 needs a certificate for 10.42.9.9, and the CA's key is not given.")
  t.regex(none.next ?? '', /NEBULA_CA_KEY/)
  const stranger = makeAuthority('stranger')
  const other = await refusal({ certificate: stranger.certificate, openKey: async () => stranger.key })
  t.is(other.what, "NEBULA_CA_CERT is not the CA that signed talos00's certificate.")
  const outside = await refusal(ours, { NEW_MESH_ADDRESS: '10.99.0.1' })
  t.regex(outside.what, /constraints violated/)
  const nobody = await refusal(ours, { ...newMesh, MESH_ADDRESS: '10.42.1.7' })
  t.regex(nobody.what, /No certificate in the cluster is for 10\.42\.1\.7/)
  t.regex(nobody.means ?? '', /talos00 \(10\.42\.1\.1\/16\)/)
  t.is((await mesh.secret())['host.crt'], mesh.host.certificate)
})

test.serial("the CA's certificate is taken from beside the node's when none is named", async (t) => {
  const mesh = await installMesh(api, 'beside', authority)
  await repeer('beside', { settings: newMesh, authority: { ...ours, certificate: undefined } })
  t.deepEqual(await networksIn((await mesh.secret())['host.crt']), ['10.42.9.9/16'])
})

test.serial(
  'of an immutable Secret or ConfigMap it is said how it is made anew, before anything is signed',
  async (t) => {
    const mesh = await installMesh(api, 'immutable', authority)
    const core = '/api/v1/namespaces/immutable'
    await api.mergePatch(`${core}/secrets/nebula-certs`, { immutable: true })
    const refusal = () =>
      t.throwsAsync(repeer('immutable', { settings: { ...newBoth, ALSO_CHANGE: 'hosts' } }), {
        instanceOf: OperatorError,
      })
    const secret = await refusal()
    t.is(secret.what, 'Secret immutable/nebula-certs is immutable: nothing in it can be changed.')
    t.regex(secret.next ?? '', /kubectl -n immutable get secret nebula-certs -o json \| jq 'del\(\.immutable\)'/)
    t.is((await mesh.secret())['host.crt'], mesh.host.certificate)

    // As that command does it.
    const { immutable: _gone, ...rest } = (await api.get(`${core}/secrets/nebula-certs`)) as KubernetesObject & {
      immutable?: boolean
    }
    await api.remove(`${core}/secrets/nebula-certs`)
    await api.create(`${core}/secrets`, { ...rest, metadata: { name: 'nebula-certs' } })
    await api.mergePatch(`${core}/configmaps/nebula`, { immutable: true })
    const hosts = await refusal()
    t.is(hosts.what, 'ConfigMap immutable/nebula is immutable: nothing in it can be changed.')
    t.deepEqual(await networksIn((await mesh.secret())['host.crt']), ['10.42.9.9/16'])
  },
)

test.serial('hosts that only the cluster holds are changed on request, byte for byte, and taken back', async (t) => {
  const mesh = await installMesh(api, 'hosts', authority)
  const listed = await repeer('hosts', { settings: newBoth })
  t.is(await mesh.configMap(), config)
  t.true(listed.lines.some((line) => line.includes('the cluster alone')))
  t.true(listed.lines.some((line) => line.includes('task migrate:repeer -- --hosts, or with ALSO_CHANGE=hosts')))

  const { journal } = await repeer('hosts', { settings: { ...newBoth, ALSO_CHANGE: 'hosts' } })
  const changed = config.replace('"10.42.1.1": ["192.168.1.54', '"10.42.9.9": ["192.168.1.210')
  t.is(await mesh.configMap(), changed)
  t.not(restartedFor(await mesh.daemonSet()), undefined)

  const [change] = journal.changes({ kind: 'nebula-hosts' })
  if (!change) return t.fail()
  t.is(await takeBackHosts(api, change), 'undone')
  t.is(await mesh.configMap(), config)
  t.is(await takeBackHosts(api, change), 'already')
  await api.mergePatch('/api/v1/namespaces/hosts/configmaps/nebula', { data: { 'config.yml': `${changed}# mine\n` } })
  t.regex(await takeBackHosts(api, change), /^conflict: .* has been changed since/)
})

test.serial('hosts that Git holds are named with their Kustomization, and left to Git', async (t) => {
  await installDefinitions(api, ['flux.yaml'])
  await api.create('/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/default/kustomizations', {
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    metadata: { name: 'mesh' },
    spec: { interval: '1h', prune: true, sourceRef: { kind: 'GitRepository', name: 'homelab' } },
  })
  const mesh = await installMesh(api, 'git', authority, {
    'kustomize.toolkit.fluxcd.io/name': 'mesh',
    'kustomize.toolkit.fluxcd.io/namespace': 'default',
  })
  const { lines, journal } = await repeer('git', {
    settings: { NEW_TALOS_NODE: '192.168.1.210' },
    flags: { hosts: true },
  })
  t.true(
    lines.some((line) => line.includes('Kustomization default/mesh')),
    lines.join('\n'),
  )
  t.true(lines.some((line) => line.includes('What Git holds is changed there')))
  t.is(await mesh.configMap(), config)
  t.deepEqual(journal.changes(), [])
})

const job = 'talos-migrate-mesh-check'

/** Asks peers from the node, whose pod has these programs; what came of it. */
async function ask(namespace: string, peers: string, image: string) {
  const settings = { MESH_PEERS: peers, API_TIMEOUT: '60' }
  const asked = repeer(namespace, { settings }).then(
    ({ lines, journal }) => ({ lines, journal, error: undefined }),
    (error: unknown) => ({ lines: [], journal: undefined, error: error as OperatorError }),
  )
  await runJob(api, namespace, job, image)
  return asked
}

test.serial('peers are asked from the node by a Job, which is removed afterwards', async (t) => {
  await installMesh(api, 'peers', authority)
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => void server.close())
  await until('it listens', async () => server.listening)
  const { port } = server.address() as { port: number }
  const peers = `127.0.0.1:${port},10.42.0.1`
  const { lines, journal, error } = await ask('peers', peers, image({}))
  t.is(error, undefined)
  t.true(lines.some((line) => line.startsWith('step Ask the peers in the mesh done')))
  t.is(await api.getOrNull(`/apis/batch/v1/namespaces/peers/jobs/${job}`), null)
  const [change] = journal?.changes({ kind: 'mesh-check' }) ?? []
  t.is(change && (await takeBackMeshCheck(api, change)), 'already')
})

test.serial('who does not answer from the node is named, and an image without the tools is too', async (t) => {
  await installMesh(api, 'silent', authority)
  const clock = join(temporaryFolder('clock'), 'now')
  writeFileSync(clock, '0')
  // Each look at the clock is half a minute later.
  const date = `read now < ${clock}; now=$((now + 30)); echo $now > ${clock}; echo $now`
  const deaf = image({ ping: '[ "$5" = 10.42.0.1 ]', date })
  const { error } = await ask('silent', '10.42.0.1,10.42.0.2,127.0.0.1:1', deaf)
  t.is(error?.what, 'Not reached over the mesh from talos00: 10.42.0.2 127.0.0.1:1(refused)')
  const poor = await ask('silent', '10.42.0.1', image({ ping: undefined }))
  t.is(poor.error?.what, 'The Job that asks over the mesh failed: the image has no ping')
  t.regex(poor.error?.next ?? '', /MESH_CHECK_IMAGE/)
})

const knock = `
const [host, port] = process.argv.slice(-2)
const socket = require('node:net').connect(Number(port), host)
socket.once('connect', () => process.exit(0))
socket.once('error', ({ code }) => { console.error(code === 'ECONNREFUSED' ? 'Connection refused' : code); process.exit(1) })
`

/** The programs of an image: a nc that really knocks, a ping that always hears; others as told. */
function image(more: Record<string, string | undefined>): string {
  const folder = temporaryFolder('image')
  writeFileSync(join(folder, 'knock.cjs'), knock)
  const scripts = {
    nc: `exec ${process.execPath} ${folder}/knock.cjs "$@"`,
    ping: 'exit 0',
    sleep: 'exec /bin/sleep 0.1',
    date: 'exec /bin/date "$@"',
    ...more,
  }
  for (const [name, script] of Object.entries(scripts)) {
    if (script !== undefined) writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  return folder
}

async function pods(namespace: string): Promise<string[]> {
  const found = await api.list(`/api/v1/namespaces/${namespace}/pods`)
  return found.flatMap(({ metadata }) => (metadata.deletionTimestamp ? [] : [metadata.name]))
}
