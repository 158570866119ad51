import { setTimeout as delay } from 'node:timers/promises'
import type { JournalRecord } from '../../migration/journal.ts'
import { changesIn, hasCome, undoneIn, untilJournal } from './evening.ts'
import type { Invariant } from './invariants.ts'
import * as invariants from './invariants.ts'
import { Operator } from './operator.ts'
import type { Group, Seed } from './seed.ts'
import { Stage, type StageOptions } from './stage.ts'
import type { Running } from './tool.ts'

/** What became of one seed. */
export interface Outcome {
  readonly seed: Seed
  readonly scenario: Group['scenario']
  /** what the operator typed after the fault */
  readonly typed: readonly string[]
  /** what speaks against it; nothing when all held */
  readonly against: readonly string[]
}

/** While the evening goes on. */
const always: readonly Invariant[] = [
  invariants.neverTwoEtcds,
  invariants.journalIsReadable,
  invariants.nothingSecretIsPlain,
  invariants.noMountIsLeft,
]

/** When nothing runs, and the cluster is where it is to stay. */
const atRest: readonly Invariant[] = [
  ...always,
  invariants.noProcessIsLeft,
  invariants.nothingDecryptedIsLeft,
  invariants.newMachineIsFenced,
  invariants.clusterIsAsBefore,
]

/**
 * Plays one group: a cluster of its own, one evening, one fault after the other in it, and after each the documented action and a look at
 * what must hold. It ends with the first seed that is broken, for what comes after would stand on its ruins.
 */
export async function playGroup(
  group: Group,
  options: StageOptions,
  tell: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const stage = await Stage.open(group, options)
  const operator = new Operator(stage, group.scenario)
  const outcomes: Outcome[] = []
  try {
    for (const seed of group.seeds) {
      const isLast = seed === group.seeds.at(-1)
      const against = await play(seed, { stage, operator, isLast }).catch((error: unknown) =>
        whatWentWrong(stage, error),
      )
      const outcome = { seed, scenario: group.scenario, typed: operator.takeTyped(), against }
      outcomes.push(outcome)
      tell(outcome)
      if (against.length > 0) break
    }
    return outcomes
  } finally {
    await operator.interrupt()
    await stage.close()
  }
}

/** What the operator could not do, and what the watchdog saw of it. */
async function whatWentWrong(stage: Stage, error: unknown): Promise<string[]> {
  await stage.watchdog.looksAgain()
  // With all that was said, of which messageOf gives the first line.
  return [...stage.watchdog.seen(), error instanceof Error ? error.message : String(error)]
}

interface Players {
  stage: Stage
  operator: Operator
  /** the evening is led to its end after it */
  isLast: boolean
}

/** @returns what speaks against it */
async function play(seed: Seed, { stage, operator, isLast }: Players): Promise<string[]> {
  const run = await operator.runTo(seed.place)
  const command = seed.inRollback ? await operator.beginRollback() : run
  operator.takeTyped()
  await strike(seed, command, stage)
  const goesBack = seed.inRollback || seed.action === 'rollback'
  if (goesBack) await operator.rollBack(seed.inRollback ? command : undefined)
  else if (isLast) await operator.runToTheEnd()
  else await operator.runPast(seed.place)
  return holding(stage, goesBack || isLast ? atRest : [...always, invariants.noObjectIsLost])
}

async function strike(seed: Seed, command: Running, stage: Stage): Promise<void> {
  const { cluster, hands, tool } = stage
  const tore = () => {
    stage.tornLines += 1
  }
  const scene = { cluster, hands, tool, command, tore }
  await comesTo(seed, command, stage)
  await seed.fault.strike(scene)
  if (!seed.fault.takeAway) return
  await delay(seed.lastsMs)
  await seed.fault.takeAway(scene)
}

async function comesTo({ moment, place, inRollback }: Seed, command: Running, { cluster }: Stage): Promise<void> {
  if ('afterMs' in moment) return void (await Promise.race([command.ended, delay(moment.afterMs)]))
  const hasMade = (records: readonly JournalRecord[]) =>
    inRollback
      ? undoneIn(records) >= moment.changes
      : changesIn(place, records) >= moment.changes || hasCome('done', place, records)
  await untilJournal(cluster, hasMade, () => command.exitCode !== undefined)
}

async function holding(stage: Stage, all: readonly Invariant[]): Promise<string[]> {
  const against: string[] = []
  for (const invariant of all) against.push(...(await invariant(stage)))
  return against
}
