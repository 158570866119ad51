import { KubernetesApi } from '../../kubernetes/api.ts'
import { parseAddress } from '../../network/addresses.ts'
import type { Settings } from '../../settings.ts'
import {
  liveMachineConfig,
  type MachineConfig,
  parseMachineConfig,
  readControlPlaneConfig,
} from '../../talos/machine-config.ts'
import { Talosctl, type Target, talosVersion } from '../../talos/talosctl.ts'
import { type Baseline, takeBaseline } from '../baseline.ts'
import { type Check, NotChecked } from '../check.ts'

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
  /** The machine config that the machine runs on. */
  openLiveConfig(): Promise<MachineConfig>
  /** talosctl, once the machine is known to answer it. */
  machine(): Promise<Talosctl>
  api(): Promise<KubernetesApi>
  config(): Promise<MachineConfig>
  liveConfig(): Promise<MachineConfig>
  /** How the cluster is at this moment. */
  state(): Promise<Baseline>
}

/** The context of a real evening. Each thing is fetched once, when the first check asks for it. */
export class LiveContext implements PreflightContext {
  readonly settings: Settings
  readonly now: Date
  readonly #fetched = new Map<string, Promise<unknown>>()

  constructor(settings: Settings, now: Date) {
    this.settings = settings
    this.now = now
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

  async state(): Promise<Baseline> {
    const api = await this.api()
    return this.#once('state', () => takeBaseline(api, { now: this.now }))
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
