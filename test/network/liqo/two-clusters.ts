import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../../lib/migration/clock.ts'
import { Journal } from '../../../lib/migration/journal.ts'
import { type PhaseScript, phase, runPhase } from '../../../lib/migration/phase.ts'
import { currentRun } from '../../../lib/migration/run-folder.ts'
import type { Sides } from '../../../lib/network/liqo/arguments.ts'
import { lookForLiqo, type Side } from '../../../lib/network/liqo/side.ts'
import { type Play, startLiqoPeer } from '../../../lib/rehearsal/liqo/liqo-peer.ts'
import { liqoctlFor } from '../../../lib/rehearsal/liqo/liqoctl.ts'
import { loadSettings, projectFolder } from '../../../lib/settings.ts'
import { type BareCluster, installDefinitions, startBareCluster, until } from '../../kubernetes/bare-cluster.ts'
import { environmentIn, listeningConsole } from '../../migration/run-in-folder.ts'
import { temporaryFolder } from '../../temporary-folder.ts'

/** What a phase ended with, and what it said. */
export interface Said {
  readonly code: number
  readonly text: string
}

/** Two clusters in which Liqo runs, as far as liqoctl can tell: catalyst at home, and aws-gpu. */
export class TwoClusters {
  readonly home: BareCluster
  readonly aws: BareCluster
  readonly play: Play
  readonly liqoctl: string

  private constructor(home: BareCluster, aws: BareCluster, play: Play, liqoctl: string) {
    this.home = home
    this.aws = aws
    this.play = play
    this.liqoctl = liqoctl
  }

  static async start(liqoctl = liqoctlFor(temporaryFolder('liqoctl'))): Promise<TwoClusters> {
    const [home, aws] = await Promise.all([startBareCluster({ pods: true }), startBareCluster({ pods: true })])
    for (const { api } of [home, aws]) await api.create('/api/v1/nodes', { metadata: { name: 'machine' } })
    const play = await startLiqoPeer({ api: home.api, id: 'catalyst' }, { api: aws.api, id: 'aws-gpu' })
    return new TwoClusters(home, aws, play, liqoctl)
  }

  async stop(): Promise<void> {
    await this.play.stop()
    await this.home.stop()
    await this.aws.stop()
  }

  /** As a person would. @param args of `liqoctl peer`, beyond the clusters */
  async peer(...args: string[]): Promise<void> {
    const clusters = ['--kubeconfig', this.home.kubeconfig, '--remote-kubeconfig', this.aws.kubeconfig]
    await promisify(execFile)(this.liqoctl, ['peer', ...clusters, '--gw-server-service-type', 'NodePort', ...args])
    await until('the virtual node is there', async () => (await this.virtualNode()) !== null, 120)
  }

  /** The other direction: the cluster in the cloud offloads to the one at home, through the gateways that there are. */
  async peerBack(...args: string[]): Promise<void> {
    const clusters = ['--kubeconfig', this.aws.kubeconfig, '--remote-kubeconfig', this.home.kubeconfig]
    const gateway = ['--gw-server-service-location', 'Consumer', '--gw-server-service-type', 'NodePort']
    await promisify(execFile)(this.liqoctl, ['peer', ...clusters, ...gateway, ...args])
    await until('both say that they are consumer and provider', async () => {
      const lists = await Promise.all(
        [this.home, this.aws].map(({ api }) => api.list('/apis/core.liqo.io/v1beta1/foreignclusters')),
      )
      const roles = lists.flat().map(({ status }) => (status as { role?: string } | undefined)?.role)
      const nodes = await this.aws.api.list('/api/v1/nodes', { labelSelector: 'liqo.io/type=virtual-node' })
      return roles.length === 2 && roles.every((role) => role === 'ConsumerAndProvider') && nodes.length === 1
    })
  }

  virtualNode() {
    return this.home.api.getOrNull('/api/v1/nodes/aws-gpu')
  }

  /** kill -9 of whatever liqoctl is at work on these clusters. */
  killLiqoctl(): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const line = commandLine(pid)
      if (line.includes(this.home.kubeconfig) && /\0(un)?peer\0/.test(line)) process.kill(Number(pid), 'SIGKILL')
    }
  }

  /** One Kustomization, which nobody reconciles; it says that it is ready. */
  async installFlux(): Promise<void> {
    const { api } = this.home
    await installDefinitions(api, ['flux.yaml'])
    await api.create('/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/default/kustomizations', {
      ...{ apiVersion: 'kustomize.toolkit.fluxcd.io/v1', kind: 'Kustomization', metadata: { name: 'mesh' } },
      spec: { interval: '10m', path: './mesh', prune: true, sourceRef: { kind: 'GitRepository', name: 'homelab' } },
    })
  }

  async fluxIsSuspended(): Promise<boolean> {
    const path = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/default/kustomizations/mesh'
    return ((await this.home.api.get(path)).spec as { suspend?: boolean }).suspend === true
  }
}

/** Both, as liqoctl is run for them. */
export async function sidesOf({ home, aws }: TwoClusters): Promise<Sides> {
  const look = async (name: Side['name'], { api, kubeconfig }: BareCluster) => {
    const found = await lookForLiqo({ name, api, kubeconfig, namespace: 'liqo' })
    if (found.state !== 'running') throw new Error(`Liqo is ${found.state} ${name}`)
    return found.side
  }
  return { here: await look('here', home), there: await look('there', aws) }
}

/** One run: a folder with its journal, in which phases are called one after the other. */
export class Run {
  readonly folder = temporaryFolder('liqo')
  readonly #clusters: TwoClusters
  /** what the operator answers when asked; undefined: there is no terminal */
  answer: boolean | undefined

  constructor(clusters: TwoClusters) {
    this.#clusters = clusters
  }

  environment(more: Record<string, string> = {}): Record<string, string> {
    return {
      ...environmentIn(this.folder),
      KUBECONFIG: this.#clusters.home.kubeconfig,
      LIQO_REMOTE_KUBECONFIG: this.#clusters.aws.kubeconfig,
      LIQOCTL: this.#clusters.liqoctl,
      LIQO_TIMEOUT: '240',
      CONVERGE_TIMEOUT: '240',
      ...more,
    }
  }

  async phase(script: PhaseScript, args: string[] = [], more: Record<string, string> = {}): Promise<Said> {
    const console = listeningConsole()
    const code = await runPhase(script, {
      args,
      environment: this.environment(more),
      clock: systemClock,
      exit: (code) => {
        throw new Error(`exit ${code}`)
      },
      console,
      prompt: { secret: async () => undefined, confirm: async () => this.answer },
    })
    return { code, text: console.lines.join('\n') }
  }

  /** Starts a script as a process of its own, that can be killed. */
  start(name: string, args: string[] = [], more: Record<string, string> = {}): ChildProcess {
    const script = join(projectFolder, 'scripts', `${name}.ts`)
    return spawn(process.execPath, ['--import', 'tsx', script, ...args], {
      env: { ...process.env, ...this.environment(more) },
      stdio: 'ignore',
      cwd: projectFolder,
    })
  }

  /** kill -9 as soon as the journal has that. */
  async killWhen(child: ChildProcess, what: (journal: Journal) => boolean): Promise<void> {
    const reached = async () => {
      if (child.exitCode !== null) throw new Error('it ended by itself')
      return what(this.journal())
    }
    await until('the journal has what the process is to be killed at', reached, 240)
    await this.kill(child)
  }

  /** kill -9, and waits until it is gone: until then it holds the lock. */
  async kill(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit')
    if (child.kill('SIGKILL')) await ended
  }

  /** As if migrate:drain had been done in this run. */
  async drained(): Promise<void> {
    const drain = await phase('drain', async () => undefined)
    const backup = await phase('backup', async () => undefined)
    for (const each of [backup, drain]) await this.phase(each)
  }

  journal(): Journal {
    const run = currentRun(loadSettings(this.environment()))
    return Journal.inMemory(run?.journalPath ?? null, systemClock.now)
  }

  /** The journal as it lies on the disk. */
  journalText(): string {
    const path = currentRun(loadSettings(this.environment()))?.journalPath ?? ''
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }

  /** A kubeconfig with which this cluster is reached at an address that it has no more. */
  meshKubeconfig(oldAddress: string): string {
    const path = join(this.folder, 'mesh.kubeconfig')
    const text = readFileSync(this.#clusters.home.kubeconfig, 'utf8')
    const { hostname } = new URL(this.#clusters.home.api.server)
    writeFileSync(path, `# from the mesh\n${text.replace(hostname, oldAddress)}`, { mode: 0o600 })
    return path
  }

  /** A copy of the other cluster's kubeconfig whose server is one that nobody answers at. */
  unreachable(): string {
    const path = join(this.folder, 'unreachable.kubeconfig')
    const text = readFileSync(this.#clusters.aws.kubeconfig, 'utf8')
    writeFileSync(path, text.replace(/https:\/\/[^"]+/, 'https://127.0.0.1:1'))
    return path
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}
