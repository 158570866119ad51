import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { Journal, type JournalRecord } from '../../lib/migration/journal.ts'
import { type Adversaries, startAdversaries } from '../../lib/rehearsal/adversaries.ts'
import { ensureBinaries } from '../../lib/rehearsal/binaries.ts'
import { swapWhenAsked } from '../../lib/rehearsal/operator.ts'
import { PracticeCluster, type PracticeClusterOptions } from '../../lib/rehearsal/practice-cluster.ts'
import { compareTruths, etcdProof, offProof } from '../../lib/rehearsal/proofs.ts'
import { runTask, type TaskRun } from '../../lib/rehearsal/run-task.ts'
import { movedProofs } from '../../lib/rehearsal/scenario-b-proofs.ts'
import { readTruth, type Truth } from '../../lib/rehearsal/truth.ts'

export interface TaskResult {
  exitCode: number
  output: string
}

/** A practice cluster with somebody beside it who swaps the hardware, and all that was in it written down. */
export interface Practice {
  cluster: PracticeCluster
  before: Truth
  /** Flux, Argo CD and an operator at their worst. */
  adversaries: Adversaries
  /** Everything that the tasks have said so far. */
  said(): string
  task(args: string[], more?: Partial<TaskRun>): Promise<TaskResult>
  records(): JournalRecord[]
  /** The current run's journal as it is now; there must be one. */
  journal(): Journal
  /** Waits until the journal says so. */
  until(reached: (records: JournalRecord[]) => boolean): Promise<void>
  /** Asserts every proof of the rehearsal. */
  prove(): Promise<void>
}

const silent = { info: () => undefined, warn: () => undefined, detail: () => undefined }

/**
 * Starts a populated practice cluster on an address of its own; everything is taken away when the test ends, however it ends.
 * @param options moves: the new machine comes up at another address
 */
export async function practise(
  t: ExecutionContext,
  { moves = false, ...options }: Partial<PracticeClusterOptions> & { moves?: boolean } = {},
): Promise<Practice> {
  const cluster = await PracticeCluster.create({ binaries: await ensureBinaries({ progress: silent }), ...options })
  const tasks = new Tasks(cluster)
  t.teardown(() => cluster.destroy())
  t.teardown(() => tasks.end())
  await cluster.start()
  const before = await truthOf(cluster)
  const { canary, fixture } = options
  const adversaries = startAdversaries(cluster.homelab.kubeconfig, {
    ...(canary === undefined ? {} : { canary }),
    ...(fixture === undefined ? {} : { fixture }),
  })
  t.teardown(() => adversaries.stop())
  const address = moves ? cluster.newAddress : cluster.address
  swapWhenAsked(cluster, { signal: tasks.signal, address }).catch((error) => t.log(`the swap failed: ${error}`))
  return {
    cluster,
    before,
    adversaries,
    said: () => tasks.said,
    task: (args, more) => tasks.run(args, more),
    records: () => recordsOf(cluster),
    journal: () => Journal.inMemory(journalPathOf(cluster), () => new Date()),
    until: async (reached) => {
      while (!reached(recordsOf(cluster))) {
        if (tasks.signal.aborted) throw new Error('the test ended before')
        await delay(20)
      }
    },
    prove: async () => {
      const after = await truthOf(cluster)
      const moved = moves ? await movedProofs(cluster) : []
      const proofs = [...compareTruths(before, after), offProof(cluster.old), await etcdProof(cluster), ...moved]
      for (const { claim, against } of proofs) t.deepEqual(against, [], claim)
    },
  }
}

/** The tasks that a test types, one or several at a time. */
class Tasks {
  said = ''
  readonly #cluster: PracticeCluster
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(cluster: PracticeCluster) {
    this.#cluster = cluster
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  async run(args: string[], more: Partial<TaskRun> = {}): Promise<TaskResult> {
    let output = ''
    const ended = runTask(args, {
      task: this.#cluster.binaries.task,
      environment: { ...this.#cluster.environment, NO_COLOR: '1' },
      output: 'pipe',
      onOutput: (text) => {
        output += text
        this.said += text
      },
      signal: this.signal,
      ...more,
    })
    this.#running.add(ended)
    const exitCode = await ended.finally(() => this.#running.delete(ended))
    return { exitCode, output }
  }

  /** Only when the tasks are gone, as they are soon after what Ctrl-C sends, may the ground be taken from under them. */
  async end(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled(this.#running)
  }
}

async function truthOf(cluster: PracticeCluster): Promise<Truth> {
  const api = await cluster.api()
  try {
    return await readTruth(api)
  } finally {
    api.close()
  }
}

/** A folder of the test's own in memory, for MEMORY_DIR. */
export function memoryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync('/dev/shm/end-to-end-')
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  return folder
}

function journalPathOf({ homelab }: PracticeCluster): string {
  return join(homelab.outputDir, 'current', 'journal.jsonl')
}

/** What the current run's journal holds; nothing before there is one. */
export function recordsOf(cluster: PracticeCluster): JournalRecord[] {
  const path = journalPathOf(cluster)
  return existsSync(path) ? Journal.inMemory(path, () => new Date()).records : []
}

/**
 * Watches the journal and kills -9 the process that writes it, at the moment at which `reached` is true of it.
 * @returns a promise of the process id that was killed
 */
export async function killWhen(
  practice: Pick<Practice, 'records'>,
  reached: (records: JournalRecord[]) => boolean,
): Promise<number> {
  const deadline = Date.now() + 180_000
  while (Date.now() < deadline) {
    const records = practice.records()
    const last = records.findLast((one) => one.type === 'phase' && one.pid !== undefined)
    if (reached(records) && last?.type === 'phase' && last.pid !== undefined) {
      process.kill(last.pid, 'SIGKILL')
      return last.pid
    }
    await delay(5)
  }
  throw new Error('the run never came to the point at which it was to be killed')
}
