import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { outages, watchAvailability } from '../kubernetes/availability.ts'
import { stillAway } from '../kubernetes/evacuation/ledger.ts'
import { formatSeconds } from '../migration/clock.ts'
import type { Console } from '../migration/console.ts'
import { OperatorError } from '../migration/errors.ts'
import { Journal } from '../migration/journal.ts'
import { startAdversaries } from './adversaries.ts'
import { ensureBinaries } from './binaries.ts'
import { canCopy } from './copying-pods.ts'
import { type Downtime, divideDowntime, momentsOf } from './downtime.ts'
import { keepRehearsal } from './keep.ts'
import { realLiqoctl } from './liqo/liqoctl.ts'
import { swapWhenAsked } from './operator.ts'
import { localPathRoot, PracticeCluster, type Step } from './practice-cluster.ts'
import type { PracticeMachine } from './practice-machine.ts'
import { compareTruths, etcdProof, excusedLines, offProof, type Proof } from './proofs.ts'
import { compareRebuilt, convergedProof, readAnnounced } from './rebuilt.ts'
import { runTask } from './run-task.ts'
import { type Moving, prepareMove } from './scenario-b.ts'
import { readTruth, type Truth } from './truth.ts'
import { volumesProof } from './volume-trees.ts'

export interface RehearsalOptions {
  console: Console
  signal: AbortSignal
  keep: boolean
  scenario: 'A' | 'B'
  /** What RECOVERY says: the state from a snapshot, or rebuilt from Git. */
  recovery: 'snapshot' | 'gitops'
  /** Flags for the scripts that are rehearsed, such as --json. */
  flags: readonly string[]
}

/** How a phase of the rehearsed run went, from its journal. */
export interface PhaseResult {
  name: string
  seconds: number
  result: string
}

export interface Rehearsal {
  phases: PhaseResult[]
  proofs: Proof[]
  downtime: Downtime
  before: Truth
  recovery: RehearsalOptions['recovery']
  /** What else was not compared, in words. */
  excused: readonly string[]
  /** Folders of local-path volumes that stayed behind on the old machine's disk. */
  leftBehind: string[]
}

/**
 * Practises a scenario: makes a practice cluster, runs `task migrate:run` against it as a user would, swaps the hardware
 * when the run asks for it, and proves what became of the cluster. Nothing is left running, however it ends.
 * @throws OperatorError when the practice cluster does not come up, or when the run fails
 */
export async function rehearseScenario(options: RehearsalOptions): Promise<Rehearsal> {
  const { console, signal, keep } = options
  const step = steps(console, signal)
  const binaries = await step('Find the binaries', () => ensureBinaries({ progress: console, signal }))
  const isMove = options.scenario === 'B'
  const liqoctl = isMove ? await step('Find liqoctl', () => realLiqoctl({ progress: console, signal })) : null
  const cluster = await PracticeCluster.create({
    binaries,
    step,
    keep,
    signal,
    workers: isMove ? 2 : 0,
  })
  try {
    await cluster.start()
    return await rehearseOn(cluster, step, { ...options, liqoctl })
  } finally {
    await cluster.destroy()
    if (keep) console.info(`The practice cluster's folder was kept: ${cluster.folder}`)
  }
}

async function rehearseOn(
  cluster: PracticeCluster,
  step: Step,
  options: RehearsalOptions & { liqoctl: string | null },
): Promise<Rehearsal> {
  const isMove = options.scenario === 'B'
  const moving = isMove
    ? await step('Put it into a mesh, and peer it with a second cluster', () => prepareMove(cluster, options.liqoctl))
    : undefined
  const owed = (truth: Truth) => moving?.owed(truth) ?? truth
  const before = await step('Write down every object of the cluster', async () => owed(await truthOf(cluster)))
  const adversaries = startAdversaries(cluster.homelab.kubeconfig)
  const kubeconfig = readFileSync(cluster.homelab.kubeconfig, 'utf8')
  const availability = await watchAvailability(kubeconfig, { movesTo: moving?.address })
  try {
    const { exitCode, replacement } = await planAndMigrate(cluster, options, moving)
    if (exitCode !== 0 || !replacement) throw runFailed(exitCode, cluster, options)
    keepRehearsal(journalOf(cluster))
    const journal = Journal.inMemory(journalOf(cluster), () => new Date())
    const away = stillAway(journal)
    const { proof, leftBehind } = volumesProof(localPathRoot(cluster.old), localPathRoot(replacement), away)
    const proofs = await step('Prove what became of it', async () => [
      ...(options.recovery === 'gitops'
        ? await proveRebuilt(cluster, before)
        : compareTruths(before, owed(await truthOf(cluster)))),
      proof,
      offProof(cluster.old),
      await etcdProof(cluster),
      ...((await moving?.proofs()) ?? []),
    ])
    const downtime = divideDowntime(outages(availability.samples), {
      old: cluster.old.timeline,
      replacement: replacement.timeline,
      ...momentsOf(journal.records),
    })
    const { recovery } = options
    const excused = moving?.excused ?? []
    return { phases: phaseResults(journalOf(cluster)), proofs, downtime, before, recovery, excused, leftBehind }
  } finally {
    availability.stop()
    await adversaries.stop()
    await moving?.stop()
  }
}

/** As migrate(), with the plan before it: it writes down what is restored, and announces what is lost. */
async function planAndMigrate(
  cluster: PracticeCluster,
  options: RehearsalOptions,
  moving: Moving | undefined,
): ReturnType<typeof migrate> {
  if (options.recovery === 'gitops') {
    const exitCode = await taskOf(cluster, ['migrate:plan', 'RECOVERY=gitops'], options)
    if (exitCode !== 0) return { exitCode, replacement: null }
  }
  return migrate(cluster, options, moving)
}

async function proveRebuilt(cluster: PracticeCluster, before: Truth): Promise<Proof[]> {
  const { outputDir } = cluster.homelab
  const announced = readAnnounced(join(outputDir, 'restore-list.txt'), join(outputDir, 'losses.txt'))
  const api = await cluster.api()
  try {
    return [...compareRebuilt(before, await readTruth(api), announced), await convergedProof(api)]
  } finally {
    api.close()
  }
}

async function migrate(
  cluster: PracticeCluster,
  options: RehearsalOptions,
  moving: Moving | undefined,
): Promise<{ exitCode: number; replacement: PracticeMachine | null }> {
  const ended = new AbortController()
  const signal = AbortSignal.any([options.signal, ended.signal])
  const swap = swapWhenAsked(cluster, { signal, ...(moving ? { address: moving.address } : {}) })
  // It is awaited when the run has ended; until then a failure of it must not count as one that nobody handles.
  swap.catch(() => undefined)
  const settings = [`SCENARIO=${options.scenario}`, `RECOVERY=${options.recovery}`, ...(moving?.settings ?? [])]
  // What is rewritten is asked for at a terminal.
  const flags = moving ? [...options.flags, '--yes'] : options.flags
  const exitCode = await taskOf(cluster, ['migrate:run', ...settings], { ...options, flags })
  ended.abort()
  return { exitCode, replacement: await swap }
}

/** Types a task as the operator of the practice cluster. @returns its exit code */
export function taskOf(
  cluster: PracticeCluster,
  args: string[],
  { flags, signal }: Pick<RehearsalOptions, 'flags' | 'signal'>,
): Promise<number> {
  const dashes = flags.length > 0 ? ['--', ...flags] : []
  const run = { task: cluster.binaries.task, environment: cluster.environment, output: 'inherit', signal } as const
  return runTask([...args, ...dashes], run)
}

/** Every object of the practice cluster, written down. */
export async function truthOf(cluster: PracticeCluster): Promise<Truth> {
  const api = await cluster.api()
  try {
    return await readTruth(api)
  } finally {
    api.close()
  }
}

/** The phases of a run in the order in which they were first begun, each with all the time that it took. */
export function phaseResults(journalPath: string): PhaseResult[] {
  const results = new Map<string, PhaseResult>()
  for (const record of Journal.inMemory(journalPath, () => new Date()).records) {
    if (record.type !== 'phase') continue
    const before = results.get(record.phase)
    const seconds = (before?.seconds ?? 0) + (record.seconds ?? 0)
    results.set(record.phase, { name: record.phase, seconds, result: record.state })
  }
  return [...results.values()]
}

/** The journal of the run that is rehearsed. */
export function journalOf(cluster: PracticeCluster): string {
  return join(cluster.homelab.outputDir, 'current', 'journal.jsonl')
}

/** Shows each part of the rehearsal's own work as the phases show theirs, and leaves it at once when the signal aborts. */
export function steps(console: Console, signal: AbortSignal): Step {
  return async (title, work) => {
    signal.throwIfAborted()
    const began = Date.now()
    const seconds = () => (Date.now() - began) / 1000
    console.stepBegin(title)
    try {
      const value = await unlessAborted(work(), signal)
      console.stepEnd(title, 'done', seconds())
      return value
    } catch (error) {
      console.stepEnd(title, 'failed', seconds())
      throw error
    }
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** What a rehearsed run that failed comes to. */
export function runFailed(
  exitCode: number,
  cluster: PracticeCluster,
  { keep, signal }: Pick<RehearsalOptions, 'keep' | 'signal'>,
): Error {
  if (signal.aborted) return signal.reason
  const logs = cluster.machines.map((machine) => machine.logPath).join(', ')
  return new OperatorError(`The rehearsed run ended with exit code ${exitCode}.`, {
    means: 'What is written above is what an operator would have seen. The practice cluster is taken away.',
    next: keep
      ? `Look at the run in ${cluster.homelab.outputDir} and at the machines' logs: ${logs}`
      : 'With --keep it leaves its folder behind for a look.',
  })
}

/** Shows what the rehearsal came to: phases, proofs, what was left out of them, downtime. */
export function showRehearsal(rehearsal: Rehearsal, console: Console): void {
  const { phases, proofs, downtime, before, recovery, excused, leftBehind } = rehearsal
  const rows = phases.map(({ name, seconds, result }) => [name, formatSeconds(seconds), result])
  console.table('Phases', ['phase', 'duration', 'result'], rows)
  showProofs(proofs, console)
  console.info('')
  console.info('What may differ between the two clusters:')
  for (const line of [...excusedLines(before, recovery), ...excused]) console.info(`  ${line}`)
  const accepted = canCopy() ? 'as accepted' : 'for there is no rsync here to copy it (apt-get install rsync)'
  console.warn(`Left on the old machine's disk, ${accepted}: the data of ${leftBehind.join(', ') || 'no volume'}.`)
  showDowntime(downtime, console)
}

/** The proofs, and what speaks against those that do not hold. */
export function showProofs(proofs: readonly Proof[], console: Console): void {
  const rows = proofs.map(({ claim, holds, evidence }) => [holds ? 'proven' : 'NOT PROVEN', claim, evidence])
  console.table('Proofs', ['', 'claim', 'rests on'], rows)
  for (const { claim, against } of proofs) {
    for (const line of against.slice(0, shownAgainst)) console.warn(`Not "${claim}": ${line}`)
    if (against.length > shownAgainst) console.warn(`… and ${against.length - shownAgainst} more`)
  }
}

function showDowntime({ seconds, ours, slices }: Downtime, console: Console): void {
  const whose = { machine: 'the machines', operator: 'the operator', ours: 'ours' }
  const rows = slices.map((slice) => [slice.what, whose[slice.of], formatSeconds(slice.seconds)])
  const percent = seconds === 0 ? 0 : Math.round((ours / seconds) * 100)
  const title = `The API was down for ${formatSeconds(seconds)}, of which ${formatSeconds(ours)}, ${percent} %, were ours`
  console.table(title, ['what', 'whose time', 'seconds'], rows)
  if (percent >= 10) console.warn('A tenth and more of it was ours: with nothing else running here it is less.')
}

const shownAgainst = 20
