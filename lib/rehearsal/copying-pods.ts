import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubernetesApi, type KubernetesObject } from '../kubernetes/api.ts'
import { evacuationLabel } from '../kubernetes/evacuation/job.ts'
import type { Pod } from '../kubernetes/kinds.ts'
import { isFinished, podPath } from '../kubernetes/pods.ts'
import { type Clock, systemClock } from '../migration/clock.ts'
import { messageOf, RemoteError } from '../migration/errors.ts'
import { type Network, takeNetwork } from './addresses.ts'
import { provisionCopies } from './copying-pods/provisioner.ts'
import { enter } from './copying-pods/sandbox.ts'
import { mountsOf } from './copying-pods/volumes.ts'

export interface CopyingPodsOptions {
  /** The folder of a node's disk that its local volumes are in; null while the node is off. */
  localPathRoot(node: string): string | null
  /** Stands for all file servers: SERVER/PATH below it is what they export. */
  nas: string
  /** More for the environment of the pods' processes. */
  environment?: Record<string, string>
  clock?: Clock
}

export interface CopyingPods {
  /** The last lines of a pod's log, as a kubelet would tell them. */
  log(namespace: string, pod: string): string
  stop(): Promise<void>
}

const lookEveryMs = 200

/**
 * Does for pods that copy volumes what kwok only pretends: runs their very commands with real files, mounts in a namespace of their
 * own, and reports as a kubelet does. It also makes the volumes of the copies, as the NFS provisioner would.
 * @param kubeconfigPath is read anew after every failure
 */
export function startCopyingPods(kubeconfigPath: string, options: CopyingPodsOptions): CopyingPods {
  const kubelet = new CopyingKubelet(kubeconfigPath, options)
  return { log: (namespace, pod) => kubelet.log(namespace, pod), stop: () => kubelet.stop() }
}

/** Whether this machine has what the pods' image has. */
export function canCopy(path = process.env.PATH ?? ''): boolean {
  return ['rsync', 'unshare'].every((tool) => path.split(':').some((folder) => existsSync(join(folder, tool))))
}

interface Container {
  name: string
  image: string
  command: string[]
  env?: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[]
  terminationMessagePath?: string
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[]
}

interface Running {
  child: ChildProcess
  node: string
  log: string
}

class CopyingKubelet {
  readonly #kubeconfigPath: string
  readonly #options: CopyingPodsOptions
  readonly #clock: Clock
  readonly #stopped = new AbortController()
  /** By the pods' names, which are never given twice; those that have ended too. */
  readonly #running = new Map<string, Running>()
  readonly #folder = mkdtempSync(join(tmpdir(), 'copying-pods-'))
  readonly #ended: Promise<void>
  #network: Network | undefined
  #lastAddress = 0

  constructor(kubeconfigPath: string, options: CopyingPodsOptions) {
    this.#kubeconfigPath = kubeconfigPath
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#ended = this.#play()
  }

  log(namespace: string, pod: string): string {
    return this.#running.get(`${namespace}/${pod}`)?.log ?? ''
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#killAll()
    await this.#ended
    this.#network?.release()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #play(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      let api: KubernetesApi | undefined
      try {
        api = await KubernetesApi.fromFile(this.#kubeconfigPath)
        for (;;) {
          await this.#look(api)
          await this.#clock.sleep(lookEveryMs, signal)
          if (signal.aborted) break
        }
      } catch (error) {
        // The API server is away, as it is for a while in every migration.
        if (!(error instanceof RemoteError)) process.emitWarning(`copying pods: ${messageOf(error)}`)
        await this.#clock.sleep(lookEveryMs, signal)
      } finally {
        api?.close()
      }
    }
  }

  async #look(api: KubernetesApi): Promise<void> {
    for (const { child, node } of this.#running.values()) if (!this.#isOn(node)) kill(child)
    await provisionCopies(api)
    const pods = await api.list<Pod>('/api/v1/pods', { labelSelector: evacuationLabel })
    const there = new Set(pods.filter(({ metadata }) => !metadata.deletionTimestamp).map(nameOf))
    for (const [name, running] of this.#running) if (!there.has(name)) kill(running.child)
    for (const pod of pods) {
      if (pod.metadata.deletionTimestamp) await this.#forget(api, pod)
      if (isFinished(pod) || pod.metadata.deletionTimestamp || this.#running.has(nameOf(pod))) continue
      const disk = this.#options.localPathRoot(nodeOf(pod))
      if (disk === null) continue
      if (pod.status.phase === 'Running') await report(api, pod, ended(pod, 137, 'the node was restarted', this.#now()))
      else if (pod.spec.nodeName !== undefined) await this.#start(api, pod, disk)
    }
  }

  /** As a kubelet does when the containers of a pod that is being deleted have ended. */
  async #forget(api: KubernetesApi, pod: Pod): Promise<void> {
    const child = this.#running.get(nameOf(pod))?.child
    if (child && child.exitCode === null && child.signalCode === null) return
    const preconditions = { uid: pod.metadata.uid }
    await api.remove(podPath(pod), { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions })
  }

  async #start(api: KubernetesApi, pod: Pod, disk: string): Promise<void> {
    const container = containerOf(pod)
    const places = { disk, nas: this.#options.nas, memory: this.#folder }
    const { mounts, missing } = await mountsOf(api, pod, container.volumeMounts ?? [], places)
    if (missing !== null) {
      const waiting = { waiting: { reason: 'ContainerCreating', message: missing } }
      return report(api, pod, { phase: 'Pending', containerStatuses: [{ ...statusOf(pod), state: waiting }] })
    }
    const words = join(this.#folder, pod.metadata.uid ?? pod.metadata.name)
    writeFileSync(words, '')
    // The API's default for it, below /dev, is for those that have nothing to say.
    const said = container.terminationMessagePath ?? ''
    const all = said.startsWith('/mnt/') ? [...mounts, { from: words, to: said, readOnly: false }] : mounts
    const { command, args } = enter(all, container.command)
    const started = this.#now()
    const podIP = await this.#takeAddress()
    await report(api, pod, {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: started,
      containerStatuses: [{ ...statusOf(pod), ready: true, started: true, state: { running: { startedAt: started } } }],
    })
    // Of the fields that the downward API knows, copying pods ask for their address only.
    const env = Object.fromEntries((container.env ?? []).map(({ name, value = podIP }) => [name, value]))
    const child = spawn(command, args, {
      env: { PATH: process.env.PATH, ...this.#options.environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const running: Running = { child, node: nodeOf(pod), log: '' }
    this.#running.set(nameOf(pod), running)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        running.log = (running.log + text).slice(-4096)
      })
    }
    child.once('close', (code) => {
      const message = readFileSync(words, 'utf8').trim() || (code === 0 ? '' : running.log.slice(-2048))
      void this.#finish(pod, ended(pod, code ?? 137, message, this.#now()))
    })
  }

  /** Tried until the API takes it, or the kubelet is stopped. */
  async #finish(pod: Pod, status: Record<string, unknown>): Promise<void> {
    while (!this.#stopped.signal.aborted && this.#isOn(nodeOf(pod))) {
      try {
        const api = await KubernetesApi.fromFile(this.#kubeconfigPath)
        try {
          if (await api.getOrNull(podPath(pod))) await report(api, pod, status)
        } finally {
          api.close()
        }
        break
      } catch {
        await this.#clock.sleep(lookEveryMs, this.#stopped.signal)
      }
    }
  }

  #isOn(node: string): boolean {
    return this.#options.localPathRoot(node) !== null
  }

  /** A loopback address for each pod, as all daemons listen on one port. */
  async #takeAddress(): Promise<string> {
    this.#network ??= await takeNetwork('pods that copy volumes', 1)
    this.#lastAddress = (this.#lastAddress % 254) + 1
    return this.#network.address(this.#lastAddress)
  }

  #now(): string {
    return `${this.#clock.now().toISOString().slice(0, 19)}Z`
  }

  #killAll(): void {
    for (const { child } of this.#running.values()) kill(child)
  }
}

function ended(pod: Pod, exitCode: number, message: string, at: string): Record<string, unknown> {
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  const terminated = { exitCode, reason, message: message.slice(0, 4096), startedAt: at, finishedAt: at }
  const containerStatuses = [{ ...statusOf(pod), state: { terminated } }]
  return { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses }
}

async function report(api: KubernetesApi, pod: Pod, status: Record<string, unknown>): Promise<void> {
  await api.mergePatch<KubernetesObject>(`${podPath(pod)}/status`, { status })
}

function statusOf(pod: Pod) {
  const { name, image } = containerOf(pod)
  return { name, image, imageID: image, restartCount: 0, ready: false, started: false }
}

function containerOf(pod: Pod): Container {
  const [container] = (pod.spec as unknown as { containers: Container[] }).containers
  if (!container) throw new Error(`${nameOf(pod)} has no container`)
  return container
}

function nameOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace}/${metadata.name}`
}

function nodeOf(pod: Pod): string {
  return pod.spec.nodeName ?? ''
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
