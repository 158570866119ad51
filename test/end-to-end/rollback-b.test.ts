import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { parse } from 'yaml'
import { talosctlOn } from '../../lib/rehearsal/control-planes.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { type Moving, prepareMove } from '../../lib/rehearsal/scenario-b.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { assertAsBefore, assertFenced, newMachine, rollBack, swap } from './going-back.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

/** Types tasks, one after the other, which must end well, and gives what they said. */
type Type = (tasks: readonly string[], ...variables: string[]) => Promise<string>

/**
 * `npm test` goes back after three of the phases, each of which undoes what no other does: the peering, the machine, and all of it.
 * `npm run test:long` does after every one.
 */
const isLong = process.env.EVERY_PHASE === 'yes'
const goesBackAfter = (phase: string) => isLong || ['unpeer', 'provision', 'repeer'].includes(phase)

/** An evening without Liqo: to tear a peering down and make it again takes most of one with it. */
const unpeered = 'LIQO_NAMESPACE=none'

test('from after its phases a rollback of scenario B leads to the cluster, its workers, files and peerings as they were', async (t) => {
  // Seven evenings, one after the other.
  t.timeout(40 * 60_000)
  const practice = await practise(t, { workers: 1, moves: true, fixture: 'small' })
  const moving = await prepareMove(practice.cluster, null)
  t.teardown(() => moving.stop())
  const type = typing(practice, moving, memoryFolder(t))
  const isAsBefore = await lookingBack(t, practice, moving)

  await type(['preflight', 'backup'])
  t.regex(await type(['rollback']), /Nothing was changed/, 'after backup')

  await type(['unpeer'])
  await type(['rollback'])
  await isAsBefore('unpeer')

  const quiet = ['unpeer', 'drain']
  if (goesBackAfter('drain')) {
    await type(quiet, unpeered)
    await type(['rollback'], unpeered)
    await isAsBefore('drain')
  }

  let replacement: PracticeMachine | undefined
  if (goesBackAfter('shutdown')) {
    await type([...quiet, 'shutdown'], unpeered)
    replacement = await newMachine(practice)
    await rollBack(practice, () => type(['rollback'], unpeered))
    await isAsBefore('shutdown')
  }

  const moved = ['provision', 'rewrite-ip', 'resume', 'repeer']
  for (const last of moved.filter(goesBackAfter)) {
    const variables = last === 'repeer' ? [] : [unpeered]
    await type([...quiet, 'shutdown'], ...variables)
    if (replacement) await swap(practice, replacement)
    else replacement = await newMachine(practice)
    await type(moved.slice(0, moved.indexOf(last) + 1), ...variables)
    const said = await rollBack(practice, () => type(['rollback'], ...variables))
    t.regex(said, /has taken no writes that the old one does not have/, last)
    assertFenced(t, practice, replacement)
    await isAsBefore(last)
  }
})

function typing(practice: Practice, { settings }: Moving, memory: string): Type {
  return async (tasks, ...more) => {
    const variables = ['SCENARIO=B', ...settings, `MEMORY_DIR=${memory}`, ...more]
    const called = tasks.map((task) => `migrate:${task}`)
    const { exitCode, output } = await practice.task([...called, ...variables, '--', '--yes'])
    if (exitCode !== 0) throw new Error(`${called.join(' ')} ended with ${exitCode}\n${output}`)
    return output
  }
}

/** Remembers the cluster and what else an evening of scenario B changes, and gives what asserts that all of it is so again. */
async function lookingBack(t: ExecutionContext, practice: Practice, moving: Moving) {
  const { cluster } = practice
  const api = await cluster.api()
  const before = await readTruth(api)
  api.close()
  const files = filesOf(practice)
  const endpoints = await endpointsOf(practice)
  return async (after: string): Promise<void> => {
    await assertAsBefore(t, { cluster, before }, after, (truth) => moving.owed(truth))
    t.deepEqual(filesOf(practice), files, `files, after ${after}`)
    t.deepEqual(await endpointsOf(practice), endpoints, `the workers, after ${after}`)
    t.deepEqual((await moving.peeredAt(cluster.address)).against, [], `the peering, after ${after}`)
  }
}

/** What the evening writes to: the repository, by what Git says of it, and the operator's own files. */
function filesOf({ cluster: { homelab } }: Practice): Record<string, string> {
  const paths = [homelab.talosconfig, homelab.kubeconfig, homelab.controlplaneConfig, homelab.workerConfig]
  const files = [...paths, ...Object.values(homelab.own)].map((path) => [path, readFileSync(path, 'utf8')])
  const changed = execFileSync('git', ['status', '--porcelain'], { cwd: homelab.folder, encoding: 'utf8' })
  return Object.fromEntries([...files, ['git status', changed]])
}

/** Where each worker's own config says that the control plane is. */
async function endpointsOf({ cluster }: Practice): Promise<string[]> {
  const ask = ['get', 'machineconfig', 'v1alpha1', '--output', 'jsonpath={.spec}']
  const texts = await Promise.all(cluster.workers.map((worker) => talosctlOn(cluster, worker, ...ask)))
  return texts.map((text) => parse(text).cluster.controlPlane.endpoint)
}
