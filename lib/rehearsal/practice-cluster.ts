import { join } from 'node:path'
import { KubernetesApi } from '../kubernetes/api.ts'
import { isNodeReady, listNodes } from '../kubernetes/nodes.ts'
import { systemClock } from '../migration/clock.ts'
import { type Condition, waitFor } from '../migration/wait.ts'
import { type Network, takeNetwork } from './addresses.ts'
import type { Environment } from './binaries/find.ts'
import type { Binaries } from './binaries.ts'
import { type CopyingPods, startCopyingPods } from './copying-pods.ts'
import { FileServers } from './file-servers.ts'
import type { Fixture } from './homelab/fixtures.ts'
import { populate } from './homelab.ts'
import { createHomelab, homelabEnvironment, type PracticeHomelab, practiceNames } from './practice-homelab.ts'
import { type Hardware, PracticeMachine } from './practice-machine.ts'
import { runTalosctl } from './run-talosctl.ts'
import { keepBackupDisk, makeWorkFolder, removeWorkFolder } from './work-folder.ts'

/** Runs one part of the work under a title; the rehearsal shows it, a test may not. */
export type Step = <T>(title: string, work: () => Promise<T>) => Promise<T>

export interface PracticeClusterOptions {
  binaries: Binaries
  step?: Step
  /** Leave the work folder behind for a look at it. */
  keep?: boolean
  /** More machine config patches, e.g. to plant something in it. */
  configPatches?: readonly string[]
  /** Stands in the values of all Secrets, to be searched for elsewhere. */
  canary?: string
  /** Machines beside the control plane's, worker01 and so on; none if not given. */
  workers?: number
  /** the homelab that it is filled with; that of the runbook, if not given */
  fixture?: Fixture
  /** Milliseconds that the machines take from power-on until they answer; default 1000. */
  bootDelayMs?: number
  signal?: AbortSignal
}

const readyWithinSeconds = 120
const gigabyte = 1e9

/** A homelab with one control plane machine, on loopback, to practise a migration on. */
export class PracticeCluster {
  readonly folder: string
  readonly address: string
  /** Another address of its network, at which nobody is: for a new machine that does not get the old address. */
  readonly newAddress: string
  readonly homelab: PracticeHomelab
  readonly binaries: Binaries
  readonly old: PracticeMachine
  /** Those of the control plane, in the order in which they came. */
  readonly machines: PracticeMachine[] = []
  readonly workers: PracticeMachine[] = []
  readonly strangers: PracticeMachine[] = []
  readonly #network: Network
  readonly #options: PracticeClusterOptions
  readonly #step: Step
  #copyingPods: CopyingPods | undefined
  #fileServers: FileServers | undefined

  private constructor(folder: string, network: Network, homelab: PracticeHomelab, options: PracticeClusterOptions) {
    this.folder = folder
    this.address = network.address(nodeHost)
    this.newAddress = network.address(newNodeHost)
    this.homelab = homelab
    this.binaries = options.binaries
    this.#network = network
    this.#options = options
    this.#step = options.step ?? ((_title, work) => work())
    this.old = this.addMachine('old')
  }

  /**
   * Makes a cluster's folder, credentials and machine, and takes an address. Nothing is on yet: start() it.
   * Whoever creates one calls destroy(), however it went.
   */
  static async create(options: PracticeClusterOptions): Promise<PracticeCluster> {
    const folder = makeWorkFolder(options.keep ?? false)
    let network: Network | undefined
    try {
      network = await takeNetwork(`a practice cluster in ${folder}`, nodeHost)
      const { binaries, configPatches = [] } = options
      const homelab = await createHomelab({ folder, address: network.address(nodeHost), binaries, configPatches })
      return new PracticeCluster(folder, network, homelab, options)
    } catch (error) {
      network?.release()
      removeWorkFolder(folder)
      throw error
    }
  }

  /** What a user would have in the environment who types `task migrate:…` for this cluster. */
  get environment(): Environment {
    return homelabEnvironment(this.homelab)
  }

  /** From a bare machine to a running, populated cluster. */
  async start(): Promise<void> {
    const { signal } = this.#options
    const wait = { timeoutSeconds: readyWithinSeconds, ...(signal ? { signal } : {}) }
    this.#fileServers = await FileServers.start(this.address)
    await this.#step('Power on the old machine', async () => {
      this.old.powerOn()
      await this.old.waitFor('maintenance-ready', wait)
    })
    await this.#step('Install Talos on it', async () => {
      await this.talosctl(
        'apply-config',
        '--insecure',
        '--nodes',
        this.address,
        '--file',
        this.homelab.controlplaneConfig,
      )
      await this.old.waitFor('booted', wait)
    })
    await this.#step('Bootstrap etcd and Kubernetes', async () => {
      await this.talosctlOnNode('bootstrap')
      await this.old.waitFor('node-ready', wait)
      await this.talosctlOnNode('kubeconfig', this.homelab.kubeconfig, '--merge=false', '--force')
    })
    if (this.#options.workers) await this.#step('Join the workers', () => this.#joinWorkers(wait))
    await this.#step('Fill the cluster with the workloads of a homelab', async () => {
      const api = await this.api()
      try {
        const { canary, fixture } = this.#options
        await populate(api, {
          localPathRoot: localPathRoot(this.old),
          ...(canary === undefined ? {} : { canary }),
          ...(fixture === undefined ? {} : { fixture }),
        })
      } finally {
        api.close()
      }
    })
    this.#copyingPods = startCopyingPods(this.homelab.kubeconfig, {
      localPathRoot: (node) => {
        if (node !== practiceNames.node) return join(this.folder, 'workers', node)
        const machine = this.machines.findLast((each) => each.running)
        return machine ? localPathRoot(machine) : null
      },
      nas: this.nas,
    })
  }

  async #joinWorkers(wait: { timeoutSeconds: number; signal?: AbortSignal }): Promise<void> {
    const numbers = Array.from({ length: this.#options.workers ?? 0 }, (_, i) => i + 1)
    await Promise.all(
      numbers.map(async (number) => {
        const name = `worker0${number}`
        const worker = this.#makeMachine(name, 10 + number, this.addressAt(nodeHost + 10 + number))
        this.workers.push(worker)
        worker.powerOn()
        await worker.waitFor('maintenance-ready', wait)
        const patch = JSON.stringify({ machine: { network: { hostname: name } } })
        const config = ['--file', this.homelab.workerConfig, '--config-patch', patch]
        await this.talosctl('apply-config', '--insecure', '--nodes', worker.hardware.address, ...config)
      }),
    )
    await this.#nodesReady(wait)
  }

  async #nodesReady({ timeoutSeconds, signal }: { timeoutSeconds: number; signal?: AbortSignal }): Promise<void> {
    const condition: Condition<true> = {
      name: 'the workers are ready Nodes',
      timeoutSeconds,
      probe: async () => {
        const nodes = (await listNodes(api)).filter(isNodeReady)
        return nodes.length > this.workers.length ? { met: true, value: true } : { met: false, saw: `${nodes.length}` }
      },
    }
    const api = await this.api()
    try {
      const waiting = { clock: systemClock, signal: signal ?? new AbortController().signal, onSeen: () => undefined }
      await waitFor(condition, waiting)
    } finally {
      api.close()
    }
  }

  /** What stands for the homelab's file servers. */
  get nas(): string {
    return join(this.folder, 'nas')
  }

  /** The Kubernetes API by the homelab's kubeconfig as it is now; close() it after use. */
  api(): Promise<KubernetesApi> {
    return KubernetesApi.fromFile(this.homelab.kubeconfig)
  }

  /** An address of the practice network. @param host its number there */
  addressAt(host: number): string {
    return this.#network.address(host)
  }

  /** Another machine for the control plane: its own hardware, an empty disk, not powered on yet; by default on the same address. */
  addMachine(name: string, address = this.address): PracticeMachine {
    const machine = this.#makeMachine(name, this.machines.length, address)
    this.machines.push(machine)
    return machine
  }

  /** A machine of another cluster, on an address of its own in the same network. */
  addStranger(name: string): PracticeMachine {
    const host = 100 + this.strangers.length
    const machine = this.#makeMachine(name, host - 50, this.addressAt(host))
    this.strangers.push(machine)
    return machine
  }

  #makeMachine(name: string, index: number, address: string): PracticeMachine {
    return new PracticeMachine(typePlate(name, index, address, this.#options.bootDelayMs ?? 1000), {
      folder: this.folder,
      neighbours: join(this.folder, 'discovery'),
      binaries: this.binaries,
    })
  }

  /** Runs the real talosctl with the homelab's talosconfig. */
  talosctl(...args: string[]): Promise<string> {
    return runTalosctl(this.binaries.talosctl, [...args, '--talosconfig', this.homelab.talosconfig])
  }

  /** As talosctl(), for the control plane's machine, wherever it is. */
  talosctlOnNode(...args: string[]): Promise<string> {
    const address = this.machines.at(-1)?.hardware.address ?? this.address
    return this.talosctl(...args, '--nodes', address, '--endpoints', address)
  }

  /** Cuts the power of all machines, gives the address back and removes the folder, unless it is to be kept. */
  async destroy(): Promise<void> {
    await this.#copyingPods?.stop()
    this.#fileServers?.stop()
    const all = [...this.machines, ...this.workers, ...this.strangers]
    for (const machine of all) machine.pullPower()
    for (const machine of all) await machine.waitUntilOff(20)
    this.#network.release()
    if (this.#options.keep) keepBackupDisk(this.folder)
    else removeWorkFolder(this.folder)
  }
}

/** The folder on a machine's disk that the local-path provisioner uses. */
export function localPathRoot(machine: PracticeMachine): string {
  return join(machine.disk, 'EPHEMERAL/local-path-provisioner')
}

/** The node's number in its network: the runbook's node is 192.168.1.54. */
const nodeHost = 54
const newNodeHost = 57

function typePlate(name: string, index: number, address: string, bootDelayMs: number): Hardware {
  const digits = String(index + 1).padStart(2, '0')
  return {
    name,
    uuid: `4c4c4544-0042-4d10-8051-0000000000${digits}`,
    mac: `02:00:00:00:00:${digits}`,
    address,
    memoryMB: index === 0 ? 16_384 : 32_768,
    cpus: index === 0 ? 4 : 8,
    bootDelayMs,
    disks: [
      { name: '/dev/sda', sizeBytes: (index + 1) * 256 * gigabyte, model: 'PRACTICE SSD', serial: `S3Z1NX0K${digits}` },
    ],
  }
}
