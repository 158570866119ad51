import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { compareTruths, etcdProof } from '../../lib/rehearsal/proofs.ts'
import { readTruth } from '../../lib/rehearsal/truth.ts'
import { memoryFolder, type Practice, practise } from './on-practice-cluster.ts'

/** Types one task, which must end well, and gives what it said. */
type Type = (task: string, ...flags: string[]) => Promise<string>

test('from after every phase of scenario A a rollback leads to the cluster as it was', async (t) => {
  // Four evenings, one after the other.
  t.timeout(30 * 60_000)
  const practice = await practise(t)
  const memory = memoryFolder(t)
  const type: Type = async (task, ...flags) => {
    const { exitCode, output } = await practice.task([`migrate:${task}`, `MEMORY_DIR=${memory}`, '--', ...flags])
    if (exitCode !== 0) throw new Error(`migrate:${task} ${flags.join(' ')} ended with ${exitCode}\n${output}`)
    return output
  }
  const { cluster } = practice
  const { old } = cluster

  t.regex(await type('rollback'), /Nothing was changed/, 'before anything was done')
  await type('preflight')
  t.regex(await type('rollback'), /Nothing was changed/, 'after preflight')
  await type('backup')
  t.regex(await type('rollback'), /Nothing was changed/, 'after backup')

  await type('drain')
  const announced = await type('rollback', '--dry-run')
  t.regex(announced, /undo: Cordon Node talos00/)
  t.regex(await type('rollback'), /is as it was/, 'after drain')
  await assertAsBefore(t, practice, 'drain')
  t.regex(await type('rollback'), /Nothing was changed/, 'after a rollback')

  await type('drain')
  await type('shutdown')
  const first = await newMachine(practice)
  await rollBack(practice, () => type('rollback'))
  await assertAsBefore(t, practice, 'shutdown')

  await type('drain')
  await type('shutdown')
  await swap(practice, first)
  await type('provision')
  t.regex(await type('rollback', '--dry-run'), /has taken no writes that the old one does not have/)
  await rollBack(practice, () => type('rollback'))
  await assertAsBefore(t, practice, 'provision')
  t.false(first.running, 'the new machine is off')

  await type('drain')
  await type('shutdown')
  await swap(practice, first)
  await type('provision')
  await type('resume')
  await type('verify')
  t.log(await rollBack(practice, () => type('rollback', '--accept-loss')))
  await assertAsBefore(t, practice, 'resume')
  t.true(old.running)
})

/** The machine that was put in the place of the old one when that was first proven off. */
async function newMachine({ cluster }: Practice): Promise<PracticeMachine> {
  for (;;) {
    const machine = cluster.machines.find((one) => one !== cluster.old)
    if (machine?.running) return machine
    await delay(100)
  }
}

/** What an operator's hands do on the way there. */
async function swap({ cluster }: Practice, to: PracticeMachine): Promise<void> {
  await cluster.old.cutPower()
  to.powerOn()
}

/** A rollback, with hands that swap the machines back when they are asked to. */
async function rollBack({ cluster, said }: Practice, rollback: () => Promise<string>): Promise<string> {
  const { old, machines } = cluster
  const asked = () => said().split(askedToSwapBack).length
  const before = asked()
  const hands = setInterval(() => {
    if (asked() === before) return
    clearInterval(hands)
    for (const machine of machines) if (machine !== old) machine.pullPower()
    old.powerOn()
  }, 100)
  return rollback().finally(() => clearInterval(hands))
}

const askedToSwapBack = 'Power the old machine on'

async function assertAsBefore(t: ExecutionContext, { cluster, before }: Practice, after: string): Promise<void> {
  const api = await cluster.api()
  const now = await readTruth(api)
  api.close()
  for (const { claim, against } of [...compareTruths(before, now), await etcdProof(cluster)]) {
    t.deepEqual(against, [], `rolled back after ${after}: ${claim}`)
  }
  t.true(cluster.old.running)
}
