import { type Dependencies, findDependencies } from '../../backup/dependencies.ts'
import { type GitopsState, readGitopsState } from '../../gitops/state.ts'
import { readWorkTree, type WorkTree } from '../../gitops/work-tree.ts'
import { KubernetesApi } from '../../kubernetes/api.ts'
import { discover } from '../../kubernetes/discovery.ts'
import { drainOptions } from '../../kubernetes/drain-options.ts'
import { type DrainOutlook, lookAhead } from '../../kubernetes/drain-outlook.ts'
import { type Greeting, greet } from '../../kubernetes/greeting.ts'
import { kubectlVersion } from '../../kubernetes/kubectl.ts'
import { findStateful } from '../../kubernetes/workloads.ts'
import { systemClock } from '../../migration/clock.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import { type Resolver, resolverWith } from '../../network/names.ts'
import { type NebulaFacts, nebulaFacts } from '../../network/nebula/facts.ts'
import { findNebulaCert } from '../../network/nebula/nebula-cert.ts'
import { knock, type PortAnswer } from '../../network/ports.ts'
import type { Settings } from '../../settings.ts'
import {
  liveMachineConfig,
  type MachineConfig,
  parseMachineConfig,
  readControlPlaneConfig,
} from '../../talos/machine-config.ts'
import { lookAtMachine, type MachineSeen } from '../../talos/maintenance.ts'
import { Talosctl, type Target, talosVersion } from '../../talos/talosctl.ts'
import { type Baseline, takeBaseline } from '../baseline.ts'
import { type Check, NotChecked } from '../check.ts'
import { nebulaCertIfThere } from '../mesh.ts'

/**
 * What the checks look at. The one check that is about a thing uses `open…` and reports what is wrong with it; the
 * others use the plain name, and say that they could not look when it is not to be had.
 */
export interface PreflightContext {
  readonly settings: Settings
  readonly now: Date
  /** the machine of TALOS_NODE */
  readonly target: Target
  openTalosctl(): Promise<Talosctl>
  /** The version of Talos that the machine runs: proof that it lets us in. */
  openMachine(): Promise<string>
  /** The kubeconfig's API, proven to answer. */
  openApi(): Promise<KubernetesApi>
  /** The machine config of CONTROLPLANE_CONFIG. */
  openConfig(): Promise<MachineConfig>
  /** What the cluster has of Nebula, its certificates read; null if it has nothing of it. */
  openNebula(): Promise<NebulaFacts | null>
  /** The machine config that the machine runs on. */
  openLiveConfig(): Promise<MachineConfig>
  /** talosctl, once the machine is known to answer it. */
  machine(): Promise<Talosctl>
  api(): Promise<KubernetesApi>
  config(): Promise<MachineConfig>
  liveConfig(): Promise<MachineConfig>
  nebula(): Promise<NebulaFacts | null>
  /** What is at the address of the new machine. */
  newMachine(address: Address): Promise<MachineSeen>
  /** How the cluster is at this moment. */
  state(): Promise<Baseline>
  /** What a drain of NODE_NAME would meet, with the stateful workloads scaled down. */
  outlook(): Promise<DrainOutlook>
  /** What the cluster needs from outside. */
  dependencies(): Promise<Dependencies>
  gitops(): Promise<GitopsState>
  /** Git's view of HOMELAB_DIR. */
  openWorkTree(): Promise<WorkTree>
  workTree(): Promise<WorkTree>
  /** What the API server tells without being asked for anything. */
  greeting(): Promise<Greeting>
  knock(address: Address, port: number): Promise<PortAnswer>
  /** Of the kubectl on PATH; undefined when there is none. */
  kubectlVersion(): Promise<string | undefined>
  readonly resolve: Resolver
}

/** The context of a real evening. Each thing is fetched once, when the first check asks for it. */
export class LiveContext implements PreflightContext {
  readonly settings: Settings
  readonly now: Date
  readonly resolve: Resolver
  readonly #fetched = new Map<string, Promise<unknown>>()

  constructor(settings: Settings, now: Date) {
    this.settings = settings
    this.now = now
    this.resolve = resolverWith(settings.hostsFile)
  }

  get target(): Target {
    return { address: parseAddress(this.settings.nodeAddress, 'TALOS_NODE') }
  }

  openTalosctl(): Promise<Talosctl> {
    return this.#once('talosctl', () => Talosctl.open(this.settings))
  }

  openApi(): Promise<KubernetesApi> {
    return this.#once('api', async () => {
      const api = await KubernetesApi.fromFile(this.settings.kubeconfig)
      await api.raw('/readyz')
      return api
    })
  }

  openConfig(): Promise<MachineConfig> {
    return this.#once('config', () => readControlPlaneConfig(this.settings.controlplaneConfig))
  }

  openLiveConfig(): Promise<MachineConfig> {
    return this.#once('live config', async () => {
      const talosctl = await this.machine()
      return parseMachineConfig(await liveMachineConfig(talosctl, this.target), `the config of ${this.target.address}`)
    })
  }

  openMachine(): Promise<string> {
    return this.#once('machine', async () => {
      const talosctl = await needed(this.openTalosctl(), 'it needs talosctl')
      return talosVersion(talosctl, this.target)
    })
  }

  async machine(): Promise<Talosctl> {
    await needed(this.openMachine(), 'it needs the machine to let us in')
    return this.openTalosctl()
  }

  api(): Promise<KubernetesApi> {
    return needed(this.openApi(), 'it needs the Kubernetes API')
  }

  config(): Promise<MachineConfig> {
    return needed(this.openConfig(), 'it needs the machine config of CONTROLPLANE_CONFIG')
  }

  liveConfig(): Promise<MachineConfig> {
    return needed(this.openLiveConfig(), 'it needs the machine config that the machine runs on')
  }

  openNebula(): Promise<NebulaFacts | null> {
    const { settings } = this
    return this.#once('nebula', async () =>
      nebulaFacts(await this.api(), settings, systemClock, () =>
        // Where a new certificate is to be made, the evening needs it.
        settings.newMeshAddress === undefined ? nebulaCertIfThere(settings) : findNebulaCert(settings),
      ),
    )
  }

  nebula(): Promise<NebulaFacts | null> {
    return needed(this.openNebula(), "it needs Nebula's certificates, and nebula-cert (NEBULA_CERT) to read them")
  }

  newMachine(address: Address): Promise<MachineSeen> {
    return this.#once('new machine', async () => lookAtMachine(await this.openTalosctl(), address))
  }

  async state(): Promise<Baseline> {
    const api = await this.api()
    return this.#once('state', () => takeBaseline(api, { now: this.now }))
  }

  outlook(): Promise<DrainOutlook> {
    const { settings, now } = this
    return this.#once('outlook', async () => {
      const api = await this.api()
      const scaledDown = await findStateful(api, settings)
      return lookAhead(api, [settings.nodeName], { ...drainOptions({}, settings), scaledDown, now })
    })
  }

  dependencies(): Promise<Dependencies> {
    return this.#once('dependencies', async () => {
      const api = await this.api()
      return findDependencies(api, await discover(api), systemClock)
    })
  }

  gitops(): Promise<GitopsState> {
    return this.#once('gitops', async () => readGitopsState(await this.api()))
  }

  openWorkTree(): Promise<WorkTree> {
    return this.#once('work tree', () => readWorkTree(this.settings.homelabDir))
  }

  workTree(): Promise<WorkTree> {
    return needed(this.openWorkTree(), 'it needs the Git repository of HOMELAB_DIR')
  }

  greeting(): Promise<Greeting> {
    return this.#once('greeting', async () => greet((await this.api()).server))
  }

  knock(address: Address, port: number): Promise<PortAnswer> {
    return knock(address, port)
  }

  kubectlVersion(): Promise<string | undefined> {
    return kubectlVersion()
  }

  async close(): Promise<void> {
    const api = this.#fetched.get('api') as Promise<KubernetesApi> | undefined
    await api?.then((opened) => opened.close()).catch(() => undefined)
  }

  #once<T>(name: string, fetch: () => Promise<T>): Promise<T> {
    const fetched = (this.#fetched.get(name) as Promise<T> | undefined) ?? fetch()
    this.#fetched.set(name, fetched)
    return fetched
  }
}

export type PreflightCheck = Check<PreflightContext>

async function needed<T>(fetched: Promise<T>, why: string): Promise<T> {
  return fetched.catch(() => {
    throw new NotChecked(why)
  })
}
