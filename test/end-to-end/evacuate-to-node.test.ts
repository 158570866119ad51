import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { stillAway } from '../../lib/kubernetes/evacuation/ledger.ts'
import { localPathRoot } from '../../lib/rehearsal/practice-cluster.ts'
import { readTree, volumesProof } from '../../lib/rehearsal/volume-trees.ts'
import { addNode } from '../kubernetes/evacuation/small-homelab.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

const worker = 'talos01'

test("local volumes go to a worker's disk over the network, and come back to a new machine, file for file", async (t) => {
  const practice = await practise(t)
  await joinWorker(t, practice)
  const root = localPathRoot(practice.cluster.old)
  const before = readTree(root)
  const settings = ['EVACUATE_TO=local-path', `EVACUATE_NODE=${worker}`, `MEMORY_DIR=${memoryFolder(t)}`]
  const done = async (name: string, ...more: string[]) => {
    const { exitCode, output } = await practice.task([`migrate:${name}`, ...settings, ...more])
    t.is(exitCode, 0, `migrate:${name}\n${output}`)
    return output
  }

  await done('backup')
  const unset = await practice.task(['migrate:drain', 'EVACUATE_TO=local-path'])
  t.is(unset.exitCode, 2, unset.output)
  t.regex(unset.output, /EVACUATE_NODE is not set[\s\S]*Nodes that could keep the copies: talos01/)
  for (const name of ['drain', 'shutdown', 'provision']) await done(name)
  t.regex(await done('resume'), /files, .*, the same on both sides/)

  await practice.prove()
  t.deepEqual(readTree(root), before, 'the old disk is as it was')
  const replacement = practice.cluster.machines.at(-1)
  const away = stillAway(practice.journal())
  const { proof } = volumesProof(root, replacement ? localPathRoot(replacement) : '', away)
  t.deepEqual(proof.against, [], proof.claim)
  t.regex(proof.evidence, /^14 volumes/)
  t.true(readTree(join(practice.cluster.folder, 'workers', worker)).size > 14, 'the copies lie on its disk')
})

/** A Node that a kubelet keeps: one that only copies are meant for. */
async function joinWorker(t: ExecutionContext, { cluster }: Practice): Promise<void> {
  const api = await cluster.api()
  await addNode(api, worker, { taints: [{ key: 'copies', effect: 'NoSchedule' }] })
  api.close()
  const renewal = setInterval(() => void renew().catch(() => undefined), 5000)
  t.teardown(() => clearInterval(renewal))

  async function renew(): Promise<void> {
    const present = await cluster.api()
    const now = new Date().toISOString()
    try {
      await present.mergePatch(`/api/v1/nodes/${worker}/status`, {
        status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: now }] },
      })
    } finally {
      present.close()
    }
  }
}
