import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { systemClock } from '../../../lib/migration/clock.ts'
import { parseAddress } from '../../../lib/network/addresses.ts'
import { addWaiting, addWorker } from '../../../lib/rehearsal/control-planes.ts'
import { loadSettings } from '../../../lib/settings.ts'
import { parseMachineConfig } from '../../../lib/talos/machine-config.ts'
import { Talosctl } from '../../../lib/talos/talosctl.ts'
import type { Finding } from '../../../lib/verify/check.ts'
import { checkBeforeJoin, joinContext } from '../../../lib/verify/join/checks.ts'
import type { JoinContext } from '../../../lib/verify/join/context.ts'
import { makeVolumes } from '../../kubernetes/evacuation/small-homelab.ts'
import { openRunning } from '../../rehearsal/contract/running.ts'
import { foreignBundle, foreignConfig } from '../../talos/join/foreign.ts'

const target = await openRunning()
const { cluster } = target
await cluster.talosctlOnNode('kubeconfig', cluster.homelab.kubeconfig, '--merge=false', '--force')
const [fresh, worker] = await Promise.all([
  addWaiting(cluster, 'second', 55),
  addWorker(cluster, { name: 'third', host: 56, hostname: 'talos02' }),
]).catch((error: unknown) => target.close().then(() => Promise.reject(error)))
const settings = loadSettings(cluster.environment)
const talosctl = await Talosctl.open(settings)
const api = await KubernetesApi.fromFile(settings.kubeconfig)
const at = (address: string) => parseAddress(address, 'the test')
const newcomer = { name: 'talos01', address: at(fresh.hardware.address) }
const promoted = { name: 'talos02', address: at(worker.hardware.address) }

test.after.always(() => {
  api.close()
  return target.close()
})

/** What is known of the two, with a backup of this minute: nothing speaks against either. */
async function contextOf(node: typeof newcomer, more: Partial<JoinContext> = {}): Promise<JoinContext> {
  const context = await joinContext({ settings, now: new Date() }, talosctl, api, node)
  return { ...context, backups: [backupOf(context.now)], ...more }
}

function backupOf(at: Date, more = {}): JoinContext['backups'][number] {
  const snapshot = { path: 'etcd.snapshot.gz.age', bytes: 1, sha256: '0'.repeat(64) }
  const manifest = { cluster: settings.clusterName, createdAt: at.toISOString(), snapshot, ...more }
  return { folder: '/nas/backup', manifest } as unknown as JoinContext['backups'][number]
}

async function errors(context: JoinContext, dryRun = false): Promise<Finding[]> {
  const results = await checkBeforeJoin(context, { dryRun })
  return results.flatMap(({ findings }) => findings).filter(({ severity }) => severity === 'error')
}

/** Asserts that exactly one thing speaks against it. */
async function refuses(t: ExecutionContext, context: JoinContext, evidence: RegExp, subject = /./): Promise<void> {
  const found = await errors(context)
  t.is(found.length, 1, JSON.stringify(found))
  t.regex(found[0]?.evidence ?? '', evidence)
  t.regex(found[0]?.subject ?? '', subject)
  t.not(found[0]?.wayOut, '')
}

test.serial('nothing speaks against a machine in maintenance mode, nor against an empty worker', async (t) => {
  for (const node of [newcomer, promoted]) t.deepEqual(await errors(await contextOf(node)), [])
  const results = await checkBeforeJoin(await contextOf(newcomer), { dryRun: false })
  const warnings = results.flatMap(({ findings }) => findings)
  t.true(
    warnings.some(({ evidence }) => /NOT highly available/.test(evidence)),
    'the endpoint is one address',
  )
})

test.serial('no snapshot, an old one, one of another cluster, and a backup without one are refused', async (t) => {
  const context = await contextOf(newcomer)
  const old = new Date(context.now.getTime() - 61 * 60_000)
  await refuses(t, { ...context, backups: [] }, /there is none/)
  t.deepEqual(await errors({ ...context, backups: [] }, true), [], 'a dry run of the evening has taken none')
  await refuses(t, { ...context, backups: [backupOf(old)] }, /is 61 min old/)
  await refuses(t, { ...context, backups: [backupOf(context.now, { cluster: 'other' })] }, /there is none/)
  await refuses(t, { ...context, backups: [backupOf(context.now, { snapshot: undefined })] }, /there is none/)
})

test.serial('another secrets bundle is refused, in whichever file it is', async (t) => {
  const context = await contextOf(newcomer)
  const [controlplaneConfig, secretsBundle] = [await foreignConfig(cluster), await foreignBundle(cluster)]
  const with_ = (more: Partial<JoinContext['settings']>) => ({ ...context, settings: { ...settings, ...more } })
  await refuses(t, with_({ controlplaneConfig }), /another secrets bundle.*etcd CA/, /foreign\.yaml/)
  await refuses(t, with_({ secretsBundle }), /another secrets bundle.*the CA etcd/, /foreign-secrets\.yaml/)
  await refuses(t, with_({ secretsBundle: join(cluster.folder, 'none.yaml') }), /not there, or is no secrets bundle/)
})

test.serial('a machine of another cluster is refused', async (t) => {
  const candidate = { state: 'foreign', saw: 'it refuses our talosconfig' } as const
  await refuses(t, await contextOf(newcomer, { candidate }), /belongs to another cluster/, /talos01/)
})

test.serial('KubePrism that is off is refused', async (t) => {
  const context = await contextOf(newcomer)
  const { pattern } = context
  const text = pattern.config.text.replace(/(kubePrism:\s+enabled: )true/, '$1false')
  t.not(text, pattern.config.text)
  const config = parseMachineConfig(text, 'the config of talos00')
  await refuses(t, { ...context, pattern: { ...pattern, config } }, /every kubelet goes to the cluster endpoint alone/)
})

test.serial('a member that is not well is refused, with the arithmetic', async (t) => {
  const context = await contextOf(newcomer)
  const [only] = context.members
  if (!only) return t.fail()
  const dead = { ...only, hostname: 'talos09', id: '9', address: at('192.0.2.9'), problem: 'it does not answer' }
  await refuses(t, { ...context, members: [only, dead] }, /With talos01 there would be 3, whose quorum is 2/)
})

test.serial('the name of a living member elsewhere is refused: joining would remove that one', async (t) => {
  await refuses(t, await contextOf({ ...newcomer, name: 'talos00' }), /removes the member of its own name/, /talos00/)
})

test.serial('a worker under another name, and the address of another Node, are refused', async (t) => {
  const found = await errors(await contextOf({ ...promoted, name: 'talos05' }))
  t.deepEqual(found.map(({ evidence }) => evidence).sort(), [
    'it is the address of Node talos02',
    'the machine there is called talos02',
  ])
})

test.serial('a disk that the machine does not have is refused', async (t) => {
  const own = { ...settings, installDisk: '/dev/nvme9n1' }
  const context = await joinContext({ settings: own, now: new Date() }, talosctl, api, newcomer)
  await refuses(t, { ...context, backups: [backupOf(context.now)] }, /nvme9n1 does not exist on the new machine/)
})

test.serial(
  'a local volume on a worker is refused until its loss is accepted, and an only replica there is named',
  async (t) => {
    await makeVolumes(api, [{ claim: 'workshop/notes', node: 'talos02' }])
    await runOnce('talos02')
    const context = await contextOf(promoted)
    await refuses(t, context, /on the disk of talos02, which is emptied/, /workshop\/notes/)
    const accepted = { ...context, settings: { ...settings, acceptDataLoss: ['workshop/*'] } }
    t.deepEqual(await errors(accepted), [])
    const warnings = (await checkBeforeJoin(accepted, { dryRun: false })).flatMap(({ findings }) => findings)
    t.true(
      warnings.some(({ subject }) => subject === 'Deployment workshop/alone'),
      JSON.stringify(warnings),
    )
  },
)

test.serial('a pod on a worker that nothing would bring back is refused', async (t) => {
  const pod = { metadata: { name: 'by-hand' }, spec: { nodeName: 'talos02', containers: [{ name: 'a', image: 'a' }] } }
  await api.create('/api/v1/namespaces/default/pods', pod)
  const context = await contextOf(promoted)
  const accepted = { ...context, settings: { ...settings, acceptDataLoss: ['workshop/*'] } }
  await refuses(t, accepted, /./, /^Pod default\/by-hand$/)
})

/** A Deployment whose only pod is on that node. */
async function runOnce(node: string): Promise<void> {
  const labels = { app: 'alone' }
  await api.create('/apis/apps/v1/namespaces/workshop/deployments', {
    metadata: { name: 'alone' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { nodeSelector: { 'kubernetes.io/hostname': node }, containers: [{ name: 'a', image: 'a' }] },
      },
    },
  })
  for (;;) {
    const pods = await api.list<{ spec: { nodeName?: string } }>('/api/v1/namespaces/workshop/pods')
    if (pods.some(({ spec }) => spec.nodeName === node)) return
    await systemClock.sleep(100)
  }
}
