import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import type { KubernetesObject } from '../../lib/kubernetes/api.ts'
import { Journal, type JournalRecord } from '../../lib/migration/journal.ts'
import { runTalosctl } from '../../lib/rehearsal/run-talosctl.ts'
import { endpointUndoKind, untellNode } from '../../lib/talos/other-nodes.ts'
import { Talosctl } from '../../lib/talos/talosctl.ts'
import { killWhen, memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

test('scenario B: refused at a bad address, killed and with a worker away, it ends with every Node at the new address', async (t) => {
  const practice = await practise(t, { workers: 2, moves: true })
  const { cluster } = practice
  const [first, second] = cluster.workers
  if (!first || !second) return t.fail('there are two workers')
  leaveOut(practice)
  const memory = memoryFolder(t)
  const moving = ['SCENARIO=B', `NEW_TALOS_NODE=${cluster.newAddress}`, `MEMORY_DIR=${memory}`]
  const run = ['migrate:run', ...moving, '--', '--yes']

  await refusesBadAddresses(t, practice, first.hardware.address)

  const running = practice.task(run)
  await practice.until((records) =>
    records.some((one) => one.type === 'phase' && one.phase === 'shutdown' && one.state === 'done'),
  )
  await second.unplug()
  const killed = killWhen(practice, (records) => begun(records, /^Tell worker0\d that/))
  t.is(typeof (await Promise.race([killed, running.then(({ output }) => output)])), 'number', 'it was killed')
  t.not((await running).exitCode, 0)

  const without = await practice.task(run)
  t.is(without.exitCode, 1, without.output)
  t.regex(without.output, /worker02 does not know the new address yet; all else is done/)
  t.regex(without.output, /task migrate:provision/)
  t.is(await endpointOf(practice, first.hardware.address), `https://${cluster.newAddress}:6443`)

  await second.plug()
  const last = await practice.task(run)
  t.is(last.exitCode, 0, last.output)
  await practice.prove()

  await isToldBack(t, practice, first.hardware.address)

  const log = practice.said()
  t.regex(log, /cluster\.controlPlane\.endpoint: https:\/\/\S+\.54:6443 → https:\/\/\S+\.57:6443/)
  t.regex(log, /The old address stays in cluster\.apiServer\.extraArgs\.api-audiences/)
  const { cluster: own } = parse(readFileSync(cluster.homelab.controlplaneConfig, 'utf8'))
  t.false(log.includes(own.secretboxEncryptionSecret), 'no secret is shown')
})

const begun = (records: JournalRecord[], what: RegExp) =>
  records.some((one) => one.type === 'change' && what.test(one.what))

/** That volumes are copied is seen in scenario A, and that Liqo is peered again in the rehearsal: they take most of its time. */
function leaveOut({ cluster: { homelab } }: Practice): void {
  const file = join(homelab.envDir, 'rehearsal.env')
  const lines = readFileSync(file, 'utf8').split('\n')
  const others = lines.filter((line) => !/^(EVACUATE_TO|ACCEPT_DATA_LOSS)=/.test(line))
  writeFileSync(file, `${others.join('\n')}ACCEPT_DATA_LOSS=*/*\nLIQO_NAMESPACE=none\n`)
}

/** Preflight names it, and drain stops at it: the cluster is as it was. */
async function refusesBadAddresses(t: ExecutionContext, practice: Practice, worker: string): Promise<void> {
  const { cluster, task } = practice
  const at = (host: number) => cluster.address.replace(/\d+$/, String(host))
  const pool = {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name: 'practice', namespace: 'metallb-system' },
  }
  const api = await cluster.api()
  const made = await api.create<KubernetesObject>('/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools', {
    ...pool,
    spec: { addresses: [`${at(200)}-${at(210)}`] },
  })
  const bad: [string, RegExp][] = [
    [cluster.address, /it is the old address/],
    [worker, /it is the address of Node worker01; it is in use/],
    [at(205), /it lies in \S+-\S+ of IPAddressPool metallb-system\/practice/],
    [at(255), /it is the broadcast address/],
    ['10.244.7.7', /it is not in the old machine's subnet .*; it lies in 10\.244\.0\.0\/16, the network of pods/],
  ]
  for (const [address, why] of bad) {
    const drain = await task(['migrate:drain', 'SCENARIO=B', `NEW_TALOS_NODE=${address}`, '--', '--dry-run'])
    t.is(drain.exitCode, 1, drain.output)
    t.true(drain.output.includes(`NEW_TALOS_NODE=${address} cannot be the new machine's address.`), drain.output)
    t.regex(drain.output, why)
  }
  const preflight = await task(['migrate:preflight', 'SCENARIO=B', `NEW_TALOS_NODE=${at(205)}`])
  t.is(preflight.exitCode, 1)
  t.regex(preflight.output, /IPAddressPool metallb-system\/practice/)
  await api.remove(`/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/${made.metadata.name}`)
  api.close()
}

/** What the journal holds of a node is enough to take it back; and what is as it was, or somebody else's, is left alone. */
async function isToldBack(t: ExecutionContext, practice: Practice, address: string): Promise<void> {
  const { homelab, binaries } = practice.cluster
  const talosctl = await Talosctl.open({ ...homelab, talosctl: binaries.talosctl, talosVersion: 'v1.11.1' })
  const journal = Journal.inMemory(join(homelab.outputDir, 'current/journal.jsonl'), () => new Date())
  const change = journal.changes({ kind: endpointUndoKind }).find(({ what }) => what.startsWith('Tell worker01 '))
  if (!change) return t.fail('there is a change of worker01')
  const takeBack = (one = change) => untellNode(talosctl, { memoryDir: '/dev/shm' }, one)
  t.is(await takeBack(), 'undone')
  t.is(await endpointOf(practice, address), `https://${practice.cluster.address}:6443`)
  t.is(await takeBack(), 'already')
  const foreign = { ...change, undo: { ...change.undo, endpoint: 'https://127.0.0.1:1', kind: endpointUndoKind } }
  t.regex(await takeBack(foreign), /^conflict: worker01 goes by/)
}

async function endpointOf({ cluster }: Practice, address: string): Promise<string> {
  const ask = ['get', 'machineconfig', 'v1alpha1', '--output', 'jsonpath={.spec}', '--nodes', address]
  const text = await runTalosctl(cluster.binaries.talosctl, [
    ...ask,
    ...['--endpoints', address, '--talosconfig', cluster.homelab.talosconfig],
  ])
  return parse(text).cluster.controlPlane.endpoint
}
