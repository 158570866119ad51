import { existsSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { PracticeCluster } from '../../lib/rehearsal/practice-cluster.ts'
import { homelabEnvironment } from '../../lib/rehearsal/practice-homelab.ts'
import { loadSettings } from '../../lib/settings.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const soon = { timeoutSeconds: 60 }

async function create(t: ExecutionContext): Promise<PracticeCluster> {
  const cluster = await PracticeCluster.create({ binaries: await ensureBinaries({ progress: silent }), bootDelayMs: 0 })
  t.teardown(() => cluster.destroy())
  return cluster
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 })
    const end = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.once('timeout', () => end(false))
  })
}

test('a machine with an empty disk starts into maintenance, and is gone when its power is cut', async (t) => {
  const { old: machine, address } = await create(t)
  t.false(machine.running)
  machine.powerOn()
  await machine.waitFor('maintenance-ready', soon)
  t.true(await answers(address, 50000))
  await machine.cutPower()
  t.false(machine.running)
  t.false(await answers(address, 50000))
})

test('an unplugged machine runs on and is not reached; plugged in again it is', async (t) => {
  const { old: machine, address } = await create(t)
  machine.powerOn()
  await machine.waitFor('maintenance-ready', soon)
  await machine.unplug()
  t.false(await answers(address, 50000))
  t.true(machine.running)
  await machine.plug()
  t.true(await answers(address, 50000))
})

test('the power button ends a machine in order', async (t) => {
  const { old: machine } = await create(t)
  machine.powerOn()
  await machine.waitFor('maintenance-ready', soon)
  await machine.pressPowerButton()
  t.false(machine.running)
  t.is(machine.timeline.at(-1)?.event, 'stopped')
})

test('who waits for an event of a machine that is off is told so, with the end of its log', async (t) => {
  const { old: machine } = await create(t)
  machine.powerOn()
  await machine.waitFor('maintenance-ready', soon)
  await machine.cutPower()
  const error = await t.throwsAsync(machine.waitFor('booted', soon), { instanceOf: OperatorError })
  t.regex(error.what, /old did not come to "booted": it is off/)
  t.regex(error.means ?? '', /maintenance-ready/)
})

test('a disk is wiped only when the machine is off, and a wiped one starts into maintenance again', async (t) => {
  const cluster = await create(t)
  const machine = cluster.old
  machine.powerOn()
  await machine.waitFor('maintenance-ready', soon)
  await cluster.talosctl(
    'apply-config',
    '--insecure',
    '--nodes',
    cluster.address,
    '--file',
    cluster.homelab.controlplaneConfig,
  )
  await machine.waitFor('booted', soon)
  t.throws(() => machine.wipeDisk(), { message: /disk is in use/ })
  await machine.cutPower()
  machine.wipeDisk()
  const since = Date.now()
  machine.powerOn()
  t.truthy(await machine.waitFor('maintenance-ready', { ...soon, since }))
})

test('clusters that are made at the same time have addresses and folders of their own, and take them away', async (t) => {
  const binaries = await ensureBinaries({ progress: silent })
  const clusters = await Promise.all([1, 2, 3].map(() => PracticeCluster.create({ binaries })))
  t.is(new Set(clusters.map(({ address }) => address)).size, 3)
  t.is(new Set(clusters.map(({ folder }) => folder)).size, 3)
  for (const cluster of clusters) await cluster.destroy()
  for (const { folder } of clusters) t.false(existsSync(folder))
})

test('the homelab of a practice cluster is one that a user could have: valid settings, private files, clean repository', async (t) => {
  const cluster = await create(t)
  const { homelab } = cluster
  const settings = loadSettings(cluster.environment)
  t.is(settings.nodeAddress, cluster.address)
  t.is(settings.talosctl, cluster.binaries.talosctl)
  t.is(settings.ageRecipients.length, 1)
  for (const file of [homelab.talosconfig, homelab.ageIdentityFile, join(homelab.envDir, 'rehearsal.env')]) {
    t.is(statSync(file).mode & 0o077, 0, file)
  }
  t.regex(readFileSync(homelab.controlplaneConfig, 'utf8'), /hostname: talos00/)
})

test('no setting for a real cluster reaches the tasks of a practice cluster', async (t) => {
  const { homelab } = await create(t)
  const real = {
    TALOSCONFIG: '/real/talosconfig',
    KUBECONFIG: '/real/kubeconfig',
    CLUSTER: 'catalyst',
    HOME: '/home/me',
  }
  const environment = homelabEnvironment(homelab, real)
  t.deepEqual(environment, { HOME: '/home/me', CLUSTER: 'rehearsal', ENV_DIR: homelab.envDir })
})
