import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import { isNodeReady, isVirtual, listNodes } from '../../lib/kubernetes/nodes.ts'
import { type AwsPeer, peerId, startAwsPeer } from '../../lib/rehearsal/liqo/aws-peer.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { compareTruths, etcdProof } from '../../lib/rehearsal/proofs.ts'
import { readTruth, type Truth } from '../../lib/rehearsal/truth.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

test('out of scenario B a rollback leads to the old address: cluster, workers, files and peering', async (t) => {
  t.timeout(40 * 60_000)
  const practice = await practise(t, { workers: 1, moves: true })
  const { cluster } = practice
  const peer = await startAwsPeer(cluster)
  t.teardown(() => peer.stop())
  const lines = Object.entries({ ...peer.settings, ACCEPT_DATA_LOSS: '*/*' }).map(
    ([name, value]) => `${name}=${value}\n`,
  )
  appendFileSync(join(cluster.homelab.envDir, 'rehearsal.env'), lines.join(''))
  const memory = memoryFolder(t)
  const scenario = ['SCENARIO=B', `NEW_TALOS_NODE=${cluster.newAddress}`, `MEMORY_DIR=${memory}`]
  const type = async (task: string, ...flags: string[]) => {
    const { exitCode, output } = await practice.task([`migrate:${task}`, ...scenario, '--', ...flags])
    if (exitCode !== 0) throw new Error(`migrate:${task} ended with ${exitCode}\n${output}`)
    return output
  }
  const before = await state(practice, peer)

  await type('backup')
  await type('unpeer')
  await type('rollback')
  await assertAsBefore(t, before, await state(practice, peer), 'unpeer')

  await type('run')
  const moved = await state(practice, peer)
  t.not(moved.hosts, before.hosts, 'it was moved')
  t.regex(moved.workerEndpoint, new RegExp(cluster.newAddress.replaceAll('.', '\\.')))
  const hands = setInterval(() => {
    if (!practice.said().includes('Power the old machine on')) return
    clearInterval(hands)
    cluster.old.powerOn()
  }, 100)
  t.log(await type('rollback', '--accept-loss').finally(() => clearInterval(hands)))
  await assertAsBefore(t, before, await state(practice, peer), 'the whole evening')
  for (const { claim, against } of [await etcdProof(cluster)]) t.deepEqual(against, [], claim)
  const replacement = cluster.machines.find(({ hardware }) => hardware.address === cluster.newAddress)
  t.false(replacement?.running, 'the new machine is off')
})

/** What has to be as it was. */
interface State {
  truth: Truth
  talosconfig: string[]
  kubeconfig: string
  hosts: string
  repository: string
  workerEndpoint: string
  peering: string[]
}

async function state({ cluster }: Practice, peer: AwsPeer): Promise<State> {
  const { homelab } = cluster
  const { own } = homelab
  const api = await cluster.api()
  try {
    return {
      truth: new Map([...(await readTruth(api))].filter(([, one]) => !isOfPeering(one))),
      talosconfig: Object.values<{ endpoints: string[] }>(
        parse(readFileSync(homelab.talosconfig, 'utf8')).contexts,
      ).flatMap(({ endpoints }) => endpoints),
      kubeconfig: readFileSync(own.kubeconfig, 'utf8'),
      hosts: readFileSync(own.hosts, 'utf8'),
      repository: readFileSync(homelab.controlplaneConfig, 'utf8'),
      workerEndpoint: await endpointOf(cluster, cluster.workers[0]),
      peering: [
        ...(await listNodes(api)).filter(isVirtual).map((node) => `${node.metadata.name} ${isNodeReady(node)}`),
        ...(await peer.api.list('/apis/core.liqo.io/v1beta1/foreignclusters')).map(
          ({ status }) => `goes to ${(status as { apiServerUrl?: string }).apiServerUrl}`,
        ),
      ],
    }
  } finally {
    api.close()
  }
}

async function assertAsBefore(t: ExecutionContext, before: State, now: State, after: string): Promise<void> {
  for (const { claim, against } of compareTruths(before.truth, now.truth)) {
    t.deepEqual(against, [], `rolled back after ${after}: ${claim}`)
  }
  const { truth: _before, ...was } = before
  const { truth: _now, ...is } = now
  t.deepEqual(is, was, after)
}

/** The peering is torn down and made again, with all that Liqo keeps for it. */
function isOfPeering({ group, namespace, name }: { group: string; namespace: string; name: string }): boolean {
  return group.endsWith('liqo.io') || [namespace, name].some((each) => each.includes(peerId))
}

async function endpointOf(cluster: Practice['cluster'], machine: PracticeMachine | undefined): Promise<string> {
  const address = machine?.hardware.address ?? ''
  const text = await cluster.talosctl(
    ...['get', 'machineconfig', 'v1alpha1', '--output', 'jsonpath={.spec}'],
    ...['--nodes', address, '--endpoints', address],
  )
  return parse(text).cluster.controlPlane.endpoint
}
