import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type Adversaries, startAdversaries } from '../adversaries.ts'
import type { Environment } from '../binaries/find.ts'
import type { Binaries } from '../binaries.ts'
import { addWaiting } from '../control-planes.ts'
import { PracticeCluster } from '../practice-cluster.ts'
import { truthOf } from '../rehearse.ts'
import type { Truth } from '../truth.ts'
import { removeWorkFolder } from '../work-folder.ts'
import { Hands } from './hands.ts'
import type { Ground } from './invariants.ts'
import type { Group } from './seed.ts'
import { Tool } from './tool.ts'
import { Watchdog } from './watching.ts'

const canary = 'canary-of-the-fault-campaign-5f0c'
/** Small, so that they are full soon: the run folder's journal and log, and the backups of a small cluster. */
const roomFor = { outputDir: '16m', backupDir: '64m' } as const

/** Settings of every evening: no volume is copied, which takes most of an evening's time, and no wait is longer than a test can bear. */
const settings: Environment = {
  ACCEPT_DATA_LOSS: '*/*',
  LIQO_NAMESPACE: 'none',
  DRAIN_TIMEOUT: '90',
  SHUTDOWN_TIMEOUT: '90',
  MACHINE_TIMEOUT: '90',
  API_TIMEOUT: '90',
  CONVERGE_TIMEOUT: '120',
}

export interface StageOptions {
  readonly binaries: Binaries
  /** the folder of the scripts' bundles */
  readonly programs: string
  readonly keep: boolean
  /** more settings for the scripts, for this group alone */
  readonly settings?: Environment
}

/** A small practice cluster with everything that a group of seeds plays on; close() takes all of it away. */
export class Stage implements Ground {
  readonly canary = canary
  readonly cluster: PracticeCluster
  readonly watchdog: Watchdog
  readonly hands: Hands
  readonly tool: Tool
  readonly memory: string
  readonly mounts: readonly string[]
  readonly before: Truth
  readonly voters: number
  tornLines = 0
  readonly torn = () => this.tornLines
  readonly #adversaries: Adversaries
  readonly #keep: boolean

  private constructor(
    parts: Pick<Stage, 'cluster' | 'hands' | 'tool' | 'memory' | 'mounts' | 'before' | 'voters'>,
    keep: boolean,
  ) {
    this.cluster = parts.cluster
    this.hands = parts.hands
    this.tool = parts.tool
    this.memory = parts.memory
    this.mounts = parts.mounts
    this.before = parts.before
    this.voters = parts.voters
    process.once('exit', this.#leave)
    this.watchdog = new Watchdog(parts.cluster.folder)
    this.#keep = keep
    this.#adversaries = startAdversaries(parts.cluster.homelab.kubeconfig, { canary, fixture: 'small' })
  }

  static async open({ scenario, unplugs }: Group, options: StageOptions): Promise<Stage> {
    const { binaries, keep, programs } = options
    const cluster = await PracticeCluster.create({
      binaries,
      keep,
      canary,
      fixture: 'small',
      bootDelayMs: 100,
      workers: scenario === 'B' ? 1 : 0,
    })
    const { outputDir, backupDir } = cluster.homelab
    const mounts = [outputDir, backupDir]
    try {
      mount(outputDir, roomFor.outputDir)
      mount(backupDir, roomFor.backupDir)
      await cluster.start()
      const chosen = await prepare(cluster, scenario)
      const memory = mkdtempSync('/dev/shm/faults-')
      const tool = new Tool(cluster, programs, { ...settings, ...chosen, ...options.settings, MEMORY_DIR: memory })
      const replacement = scenario === 'C' ? undefined : newMachine(cluster, scenario)
      const hands = new Hands({ old: cluster.old, replacement }, unplugs, () => tool.said)
      const [before, voters] = [await truthOf(cluster), scenario === 'C' ? 3 : 1]
      return new Stage({ cluster, hands, tool, memory, mounts, before, voters }, keep)
    } catch (error) {
      await takeAway(cluster, mounts)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#adversaries.stop()
    await this.watchdog.stop()
    await this.hands.stop().finally(() => takeAway(this.cluster, this.mounts))
    rmSync(this.memory, { recursive: true, force: true, maxRetries: 3 })
    process.off('exit', this.#leave)
  }

  /** An exit of this process leaves no mount behind; that it leaves no machine on is the machines' own business. */
  readonly #leave = () => {
    unmount(this.mounts)
    rmSync(this.memory, { recursive: true, force: true })
    if (!this.#keep) removeWorkFolder(this.cluster.folder)
  }
}

/** What a scenario needs besides. @returns its settings */
async function prepare(cluster: PracticeCluster, scenario: Group['scenario']): Promise<Environment> {
  if (scenario === 'A') return { SCENARIO: 'A' }
  if (scenario === 'B') return { SCENARIO: 'B', NEW_TALOS_NODE: cluster.newAddress }
  const joining = [await addWaiting(cluster, 'second', 55), await addWaiting(cluster, 'third', 56)]
  const nodes = joining.map(({ hardware }, index) => `talos0${index + 1}=${hardware.address}`)
  return { SCENARIO: 'C', JOIN_NODES: nodes.join(',') }
}

function newMachine(cluster: PracticeCluster, scenario: Group['scenario']) {
  return cluster.addMachine('new', scenario === 'B' ? cluster.newAddress : cluster.address)
}

/** A file system of its own, which takes root (mount(8)). */
function mount(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', folder])
}

function unmount(mounts: readonly string[]): void {
  for (const folder of mounts) execFileSync('umount', ['--lazy', '--quiet', folder])
}

async function takeAway(cluster: PracticeCluster, mounts: readonly string[]): Promise<void> {
  unmount(mounts)
  await cluster.destroy()
}
