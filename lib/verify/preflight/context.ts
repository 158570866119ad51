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
 * What the checks look at. Each thing is fetched once, when the first check asks for it; the one check that is about it
 * uses `open…` and reports what is wrong, the others say that they could not look.
 */
export class PreflightContext {
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

  /** The kubeconfig's API, proven to answer. */
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

  /** The machine of TALOS_NODE, proven to let us in: the version of Talos that it runs. */
  openMachine(): Promise<string> {
    return this.#once('machine', async () => talosVersion(await this.talosctl(), this.target))
  }

  /** talosctl, once the machine is known to answer it. */
  async machine(): Promise<Talosctl> {
    await needed(this.openMachine(), 'it needs the machine to let us in')
    return this.talosctl()
  }

  talosctl(): Promise<Talosctl> {
    return needed(this.openTalosctl(), 'it needs talosctl')
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

  /** How the cluster is at this moment. */
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
