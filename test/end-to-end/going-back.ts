import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import type { JournalRecord } from '../../lib/migration/journal.ts'
import { talosctlOn } from '../../lib/rehearsal/control-planes.ts'
import type { PracticeMachine } from '../../lib/rehearsal/practice-machine.ts'
import { compareTruths, etcdProof } from '../../lib/rehearsal/proofs.ts'
import { readTruth, type Truth } from '../../lib/rehearsal/truth.ts'
import { killWhen, type Practice, type TaskResult } from './on-practice-cluster.ts'

/** The machine that was put in the place of the old one when that was first proven off. */
export async function newMachine({ cluster }: Practice): Promise<PracticeMachine> {
  for (;;) {
    const machine = cluster.machines.find((one) => one !== cluster.old)
    if (machine?.running) return machine
    await delay(100)
  }
}

/** What an operator's hands do on the way there. */
export async function swap({ cluster }: Practice, to: PracticeMachine): Promise<void> {
  await cluster.old.cutPower()
  to.powerOn()
}

/** A rollback, with hands that swap the machines back when they are asked to. */
export async function rollBack(
  practice: Practice,
  rollback: () => Promise<string>,
  { emptied = false }: { emptied?: boolean } = {},
): Promise<string> {
  const { cluster } = practice
  const { old, machines } = cluster
  const asked = () => practice.said().split(askedToSwapBack).length
  const before = asked()
  const hands = setInterval(() => {
    if (asked() === before) return
    clearInterval(hands)
    for (const machine of machines) if (machine !== old) machine.pullPower()
    if (emptied) old.wipeDisk()
    old.powerOn()
  }, 100)
  return rollback().finally(() => clearInterval(hands))
}

const askedToSwapBack = 'Power the old machine on'

/** The cluster that runs on the old machine is the one that was written down. @param owed what of a truth is compared */
export async function assertAsBefore(
  t: ExecutionContext,
  { cluster, before }: Pick<Practice, 'cluster' | 'before'>,
  after: string,
  owed = (truth: Truth) => truth,
): Promise<void> {
  const api = await cluster.api()
  const now = await readTruth(api)
  api.close()
  const etcd = await etcdProof({ talosctlOnNode: (...args) => talosctlOn(cluster, cluster.old, ...args) })
  for (const { claim, against } of [...compareTruths(owed(before), owed(now)), etcd]) {
    t.deepEqual(against, [], `rolled back after ${after}: ${claim}`)
  }
  t.true(cluster.old.running)
}

/** The new machine was off before the old one was on. */
export function assertFenced(t: ExecutionContext, { cluster }: Practice, replacement: PracticeMachine): void {
  const off = replacement.timeline.at(-1)
  const on = cluster.old.timeline.findLast(({ event }) => event === 'power-on')
  t.is(off?.event, 'stopped', 'the new machine went off by itself')
  t.true((off?.at ?? Infinity) < (on?.at ?? 0), 'and before the old one was on')
  t.false(replacement.running)
}

/** A rollback that is killed when it is half done, and typed again. */
export async function rollBackThoughKilled(
  t: ExecutionContext,
  practice: Practice,
  rollback: () => Promise<TaskResult>,
): Promise<void> {
  await rollBack(practice, async () => {
    const killed = rollback()
    await Promise.race([killWhen(practice, halfUndone), killed])
    t.not((await killed).exitCode, 0, 'it was killed')
    const { exitCode, output } = await rollback()
    t.is(exitCode, 0, output)
    return output
  })
}

function halfUndone(records: JournalRecord[]): boolean {
  const begun = records.findLastIndex(({ type }) => type === 'rollback')
  const undone = records.slice(begun).filter((record) => record.type === 'outcome' && record.state === 'undone')
  return records[begun]?.type === 'rollback' && records[begun].state === 'begun' && undone.length >= 20
}
