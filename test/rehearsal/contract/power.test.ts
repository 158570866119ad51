import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { apply, eventually, mirrorPods, must, openRunning, withApi } from './running.ts'
import { isInMaintenance, isReal, type PracticeTarget } from './target.ts'

// Everything here takes a machine down: never a real one.
const check = isReal ? test.serial.skip : test.serial
const opened = isReal ? null : await openRunning()

test.after.always(() => opened?.close())

function practice(): PracticeTarget {
  if (!opened) throw new Error('these tests are for practice machines')
  return opened
}

const withinSeconds = 60
const nodePath = '/api/v1/nodes/talos00'
const cordonedByTalos = 'talos.dev/cordoned'

/** What has to be the same on the machine that a snapshot is recovered on. */
async function identities(api: KubernetesApi): Promise<Record<string, string | undefined>> {
  const objects = [await api.get(nodePath), await api.get('/api/v1/namespaces/kube-system'), ...(await mirrorPods(api))]
  return Object.fromEntries(objects.map(({ metadata }) => [metadata.name, metadata.uid]))
}

async function isSchedulable(api: KubernetesApi): Promise<true | undefined> {
  const { metadata, spec } = await api.get(nodePath)
  const cordoned = (spec as { unschedulable?: boolean }).unschedulable === true
  return cordoned || metadata.annotations?.[cordonedByTalos] !== undefined ? undefined : true
}

const nodeIsReady = (since: number) =>
  practice().cluster.old.waitFor('node-ready', { timeoutSeconds: withinSeconds, since })

check('after a reboot the machine has another boot ID and the same cluster', async (t) => {
  const target = practice()
  const before = await withApi(target, identities)
  const bootId = await must(target, 'read', '/proc/sys/kernel/random/boot_id')
  const since = Date.now()
  // Not waited for by talosctl: it misses the event that it waits for when a machine is back as fast as a simulated one.
  await must(target, 'reboot', '--wait=false')
  const now = await eventually('another boot ID', async () => {
    const seen = await must(target, 'read', '/proc/sys/kernel/random/boot_id')
    return seen === bootId ? undefined : seen
  })
  t.regex(now, /^[0-9a-f-]{36}\s*$/)
  await nodeIsReady(since)
  t.deepEqual(await withApi(target, identities), before)
})

check('shutdown cordons the node and switches the machine off', async (t) => {
  const { cluster } = practice()
  await must(practice(), 'shutdown')
  await t.notThrowsAsync(cluster.old.waitUntilOff(withinSeconds))
  t.not((await practice().talosctl('version')).exitCode, 0)
})

check('the machine uncordons its node when it is switched on again', async (t) => {
  const since = Date.now()
  practice().cluster.old.powerOn()
  await nodeIsReady(since)
  t.true(await withApi(practice(), (api) => eventually('the end of the cordon', () => isSchedulable(api))))
})

check('a node that an operator has cordoned stays so over shutdown and start', async (t) => {
  const target = practice()
  const cordon = (unschedulable: boolean) =>
    withApi(target, (api) => api.mergePatch(nodePath, { spec: { unschedulable } }))
  await cordon(true)
  await must(target, 'shutdown')
  await target.cluster.old.waitUntilOff(withinSeconds)
  const since = Date.now()
  target.cluster.old.powerOn()
  await nodeIsReady(since)
  const node = await withApi(target, (api) => api.get(nodePath))
  t.like(node, { spec: { unschedulable: true } })
  t.is(node.metadata.annotations?.[cordonedByTalos], undefined)
  await cordon(false)
})

check('a snapshot recovered on a wiped disk brings the cluster back with all identities', async (t) => {
  const target = practice()
  const { old } = target.cluster
  const snapshot = join(target.folder, 'recovery.snapshot')
  const before = await withApi(target, async (api) => {
    await api.create('/api/v1/namespaces', { metadata: { name: 'survivor' } })
    return identities(api)
  })
  await must(target, 'etcd', 'snapshot', snapshot)
  await old.cutPower()
  old.wipeDisk()
  const since = Date.now()
  old.powerOn()
  await old.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds, since })
  await apply(target)
  await old.waitFor('booted', { timeoutSeconds: withinSeconds, since })
  await must(target, 'bootstrap', '--recover-from', snapshot)
  await nodeIsReady(since)
  await withApi(target, async (api) => {
    t.deepEqual(await identities(api), before)
    t.is((await api.get('/api/v1/namespaces/survivor')).metadata.name, 'survivor')
  })
  const health = await target.talosctl('health', '--wait-timeout', '60s')
  t.is(health.exitCode, 0, health.text)
})

check('the recovered cluster has this machine as its only member', async (t) => {
  const members = await must(practice(), 'etcd', 'members')
  t.is(members.trim().split('\n').length, 2, members)
})

check('reset wipes the machine and brings it back in maintenance mode', async (t) => {
  const target = practice()
  const since = Date.now()
  await must(target, 'reset', '--graceful=false', '--reboot', '--wait=false')
  await target.cluster.old.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds, since })
  t.true(await eventually('maintenance mode', async () => (await isInMaintenance(target)) || undefined))
})

check('the machine has written down all that happened to it', (t) => {
  const { timelinePath } = practice().cluster.old
  const events = readFileSync(timelinePath, 'utf8').trim().split('\n')
  t.true(events.some((line) => line.includes('recover-uploaded')))
  t.true(events.filter((line) => line.includes('shutdown-requested')).length >= 2)
})
