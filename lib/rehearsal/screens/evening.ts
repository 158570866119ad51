import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { startAdversaries } from '../adversaries.ts'
import { swapWhenAsked } from '../operator.ts'
import { PracticeCluster, type PracticeClusterOptions } from '../practice-cluster.ts'
import { practiceNames } from '../practice-homelab.ts'
import { journalOf } from '../rehearse.ts'
import type { Camera } from './camera.ts'
import { Terminal } from './terminal.ts'

export interface EveningOptions extends PracticeClusterOptions {
  camera: Camera
  /** where the pictures go */
  folder: string
  signal: AbortSignal
}

const withinSeconds = 1800

/**
 * An evening of scenario A on a practice cluster, typed at a terminal of 80×24, with a picture of each moment at which an operator reads.
 * @throws Error when something is not shown that should be, with what is shown instead
 */
export async function photographEvening(options: EveningOptions): Promise<void> {
  mkdirSync(options.folder, { recursive: true })
  const cluster = await PracticeCluster.create(options)
  const desk = new Desk(cluster, options)
  try {
    await cluster.start()
    const adversaries = startAdversaries(cluster.homelab.kubeconfig)
    try {
      await before(desk, cluster)
      await migrate(desk, cluster, options)
      await afterwards(desk, cluster)
      await report(cluster, options)
    } finally {
      await adversaries.stop()
    }
  } finally {
    desk.leave()
    await cluster.destroy()
  }
}

async function before(desk: Desk, cluster: PracticeCluster): Promise<void> {
  const plan = await desk.runs('migrate:plan')
  await desk.picture('plan', plan.screen.htmlFrom('== plan: what'))
  await desk.picture('plan-times', plan.screen.htmlFrom('How long it takes'))
  const notes = join(cluster.homelab.folder, 'notes.md')
  // What is found on the evening itself: somebody was at work, and is not done.
  writeFileSync(notes, '# Tonight\n')
  await cordoned(cluster, async () => {
    const preflight = desk.starts('migrate:preflight')
    await preflight.ended
    await desk.picture('preflight', preflight.screen.html())
  })
  rmSync(notes)
}

/** While somebody has cordoned the node by hand. */
async function cordoned(cluster: PracticeCluster, work: () => Promise<void>): Promise<void> {
  const api = await cluster.api()
  const node = `/api/v1/nodes/${practiceNames.node}`
  try {
    await api.mergePatch(node, { spec: { unschedulable: true } })
    await work()
    await api.mergePatch(node, { spec: { unschedulable: null } })
  } finally {
    api.close()
  }
}

async function migrate(desk: Desk, cluster: PracticeCluster, { signal }: EveningOptions): Promise<void> {
  const run = desk.starts('migrate:run', 'SCENARIO=A')
  await run.shows('[y/N]', withinSeconds)
  run.type('y\n')
  await run.shows('Copy local volumes off', withinSeconds)
  await desk.picture('run', run.screen.html())
  await run.shows('Give the new machine its config: waiting', withinSeconds)
  await desk.picture('run-swap', run.screen.html())
  await swapWhenAsked(cluster, { signal })
  await desk.wellEnded(run)
  await desk.picture('run-done', run.screen.html())
}

async function afterwards(desk: Desk, cluster: PracticeCluster): Promise<void> {
  await cordoned(cluster, async () => {
    const verify = desk.starts('migrate:verify', 'CONVERGE_TIMEOUT=5')
    await verify.ended
    await desk.picture('verify-broken', verify.screen.html())
  })
  const verify = await desk.runs('migrate:verify')
  await desk.picture('verify', verify.screen.html())
  const status = await desk.runs('migrate:status')
  await desk.picture('status', status.screen.html())
  await desk.runs('migrate:report')
}

async function report(cluster: PracticeCluster, { camera, folder }: EveningOptions): Promise<void> {
  const page = join(dirname(journalOf(cluster)), 'report.html')
  const desktop = { viewport: { width: 1100, height: 760 } }
  await camera.ofFile(page, join(folder, 'report-light.png'), { ...desktop, colorScheme: 'light' })
  await camera.ofFile(page, join(folder, 'report-dark.png'), { ...desktop, colorScheme: 'dark' })
  await camera.ofFile(page, join(folder, 'report-phone.png'), { viewport: { width: 360, height: 740 } })
}

/** Where the operator sits: types tasks, and keeps pictures of what they show. */
class Desk {
  readonly #terminals: Terminal[] = []
  readonly #environment: PracticeCluster['environment']
  readonly #camera: Camera
  readonly #folder: string

  constructor(cluster: PracticeCluster, { camera, folder, signal }: EveningOptions) {
    const path = [dirname(cluster.binaries.task), cluster.environment.PATH].join(delimiter)
    this.#environment = { ...cluster.environment, PATH: path }
    this.#camera = camera
    this.#folder = folder
    signal.addEventListener('abort', () => this.leave())
  }

  starts(...args: string[]): Terminal {
    const terminal = new Terminal(['task', ...args], this.#environment)
    this.#terminals.push(terminal)
    return terminal
  }

  async runs(...args: string[]): Promise<Terminal> {
    const terminal = this.starts(...args)
    await this.wellEnded(terminal)
    return terminal
  }

  async wellEnded(terminal: Terminal): Promise<void> {
    const code = await terminal.ended
    if (code !== 0) throw new Error(`It ended with ${code}:\n${terminal.screen.lines().slice(-40).join('\n')}`)
  }

  picture(name: string, html: string): Promise<void> {
    return this.#camera.ofText(html, join(this.#folder, `${name}.png`))
  }

  leave(): void {
    for (const terminal of this.#terminals) terminal.close()
  }
}
