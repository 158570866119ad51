import { readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../lib/migration/clock.ts'
import { OperatorError } from '../../lib/migration/errors.ts'
import { withMemoryFolder } from '../../lib/migration/memory-folder.ts'
import { type Condition, waitFor } from '../../lib/migration/wait.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { machineIsOff } from '../../lib/network/ports.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { PracticeCluster } from '../../lib/rehearsal/practice-cluster.ts'
import { bootstrapFrom } from '../../lib/talos/bootstrap.ts'
import {
  etcdAlarms,
  etcdMembers,
  etcdService,
  etcdStatus,
  oneHealthyVoter,
  takeSnapshot,
} from '../../lib/talos/etcd.ts'
import { bootId } from '../../lib/talos/identity.ts'
import { installDisk } from '../../lib/talos/install-disk.ts'
import { adminKubeconfig } from '../../lib/talos/kubeconfig.ts'
import {
  differingSecrets,
  liveMachineConfig,
  parseMachineConfig,
  pinHostname,
  readControlPlaneConfig,
  validateMachineConfig,
} from '../../lib/talos/machine-config.ts'
import { lookAtMachine } from '../../lib/talos/maintenance.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from '../../lib/talos/snapshot.ts'
import { verifyTalosconfig } from '../../lib/talos/talosconfig.ts'
import { Talosctl, talosVersion } from '../../lib/talos/talosctl.ts'
import { TalosctlError } from '../../lib/talos/talosctl-error.ts'

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }
const memory = { memoryDir: '/dev/shm' }
const waiting = { clock: systemClock, signal: new AbortController().signal, onSeen: () => undefined }
const until = <T>(condition: Condition<T>): Promise<T> => waitFor(condition, waiting)

interface Practice {
  cluster: PracticeCluster
  talosctl: Talosctl
  target: { address: ReturnType<typeof parseAddress> }
}

async function practise(t: ExecutionContext): Promise<Practice> {
  const binaries = await ensureBinaries({ progress: silent })
  const cluster = await PracticeCluster.create({ binaries, bootDelayMs: 100 })
  t.teardown(() => cluster.destroy())
  const { talosconfig } = cluster.homelab
  const talosctl = await Talosctl.open({ talosctl: binaries.talosctl, talosVersion: 'v1.11.1', talosconfig })
  return { cluster, talosctl, target: { address: parseAddress(cluster.address, 'test') } }
}

async function install({ cluster, talosctl, target }: Practice, machine = cluster.old): Promise<void> {
  if (!machine.running) machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: 60 })
  const input = await readFile(cluster.homelab.controlplaneConfig)
  await talosctl.run({ ...target, insecure: true }, ['apply-config', '--file', '/dev/stdin'], { input })
  await machine.waitFor('booted', { timeoutSeconds: 60 })
}

test('a machine is silent, then in maintenance mode, then one of ours', async (t) => {
  const practice = await practise(t)
  const { cluster, talosctl, target } = practice
  t.is((await lookAtMachine(talosctl, target.address)).state, 'silent')

  cluster.old.powerOn()
  await cluster.old.waitFor('maintenance-ready', { timeoutSeconds: 60 })
  const { uuid, mac } = cluster.old.hardware
  const seen = await lookAtMachine(talosctl, target.address)
  t.like(seen, { state: 'maintenance', identity: { uuid, macs: [mac] } })
  const config = await readControlPlaneConfig(cluster.homelab.controlplaneConfig)
  t.is(seen.state === 'maintenance' && installDisk(config, seen.disks).dev_path, '/dev/sda')
  const refused = await t.throwsAsync(talosctl.run({ ...target, insecure: true }, ['version']), {
    instanceOf: TalosctlError,
  })
  t.is(refused?.reason, 'maintenance')

  await install(practice)
  t.like(await lookAtMachine(talosctl, target.address), { state: 'running', identity: { uuid, macs: [mac] } })
  t.is(await talosVersion(talosctl, target), 'v1.11.1')
  t.regex(await bootId(talosctl, target), /^[0-9a-f-]{36}$/)
  const live = parseMachineConfig(await liveMachineConfig(talosctl, target), 'live')
  t.deepEqual(differingSecrets(live, config), [])
})

test('the config of a homelab is valid, fits its talosconfig, and keeps its name on any hardware', async (t) => {
  const { cluster, talosctl } = await practise(t)
  const config = await readControlPlaneConfig(cluster.homelab.controlplaneConfig)
  await validateMachineConfig(talosctl, config)
  await verifyTalosconfig(cluster.homelab.talosconfig, config, new Date())
  const inTwentyYears = new Date(Date.now() + 20 * 365 * 86_400_000)
  await t.throwsAsync(verifyTalosconfig(cluster.homelab.talosconfig, config, inTwentyYears), { message: /has expired/ })
  t.is((await pinHostname(talosctl, config, 'talos09')).hostname, 'talos09')
  const text = config.text.replace(/endpoint: \S+/, 'endpoint: not-a-url')
  await t.throwsAsync(validateMachineConfig(talosctl, { ...config, text }), {
    instanceOf: OperatorError,
    message: /not a valid machine config/,
  })
})

test('etcd moves to another machine by its snapshot, and is bootstrapped only once', async (t) => {
  const practice = await practise(t)
  const { cluster, talosctl, target } = practice
  await install(practice)
  t.deepEqual(await etcdService(talosctl, target), { running: false, healthy: false })
  await cluster.talosctlOnNode('bootstrap')
  await cluster.old.waitFor('controlplane-ready', { timeoutSeconds: 120 })
  const member = await until(oneHealthyVoter(talosctl, target, 60))
  t.like(member, { hostname: 'talos00', learner: false })
  t.deepEqual(await etcdAlarms(talosctl, target), [])
  t.like(await etcdStatus(talosctl, target), { member: member.id, leader: member.id, errors: '' })
  t.regex(await adminKubeconfig(talosctl, target), /server: https:\/\//)

  await withMemoryFolder(memory, async (folder) => {
    const { path, hash } = await takeSnapshot(talosctl, target, folder)
    t.regex(hash ?? '', /^[0-9a-f]{8}$/)
    t.is((await checkSnapshotFile(path)).bytes, (await stat(path)).size)
    const config = await readControlPlaneConfig(cluster.homelab.controlplaneConfig)
    const content = await readSnapshot(path)
    const { kubeSystemUid } = proveKinship(content, config, 'the snapshot')
    // An etcd with data is not bootstrapped again.
    t.is(await until(bootstrapFrom(talosctl, target, path, 30)), 'had-data')

    await cluster.old.pressPowerButton()
    await until(machineIsOff('old', target.address, 30, { everyMs: 50 }))
    const next = cluster.addMachine('next')
    await install(practice, next)
    t.is(await until(bootstrapFrom(talosctl, target, path, 60)), 'bootstrapped')
    await until(oneHealthyVoter(talosctl, target, 60))
    t.is((await etcdMembers(talosctl, target)).length, 1)
    t.is(await until(bootstrapFrom(talosctl, target, path, 30)), 'had-data')
    const orders = (await readFile(next.logPath, 'utf8')).match(/bootstrap request received/g)
    t.is(orders?.length, 1, 'an etcd with members is not even asked to bootstrap')
    await next.waitFor('apiserver-ready', { timeoutSeconds: 120 })
    const again = await takeSnapshot(talosctl, target, join(folder))
    t.is((await readSnapshot(again.path)).kubeSystemUid, kubeSystemUid)
    await truncate(again.path, 10_000)
    await t.throwsAsync(checkSnapshotFile(again.path), { instanceOf: OperatorError })
  })
})
