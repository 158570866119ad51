import type { KubernetesApi, KubernetesObject } from '../../../lib/kubernetes/api.ts'
import { systemClock } from '../../../lib/migration/clock.ts'
import { nebulaCertificates } from '../../../lib/network/nebula/facts.ts'
import { findNebulaCert } from '../../../lib/network/nebula/nebula-cert.ts'
import { Talosctl } from '../../../lib/talos/talosctl.ts'
import { type Baseline, takeBaseline } from '../../../lib/verify/baseline.ts'
import type { LiveCluster } from '../../../lib/verify/live-checks.ts'
import { lookAgainst, type Seen } from '../../../lib/verify/look.ts'
import { controlPlane } from '../../../lib/verify/machines.ts'
import { setStatus, write } from '../preflight/healthy-cluster.ts'
import { HealthyHomelab } from '../preflight/healthy-homelab.ts'
import { judged } from './judged-cluster.ts'

/** A homelab with ten old faults, of which a baseline was taken: what verify says of it can be judged. */
export class JudgedHomelab {
  readonly homelab: HealthyHomelab
  /** what the ingress answers for a host; 200 if nothing else is said */
  readonly answers: Record<string, number>
  readonly silentPeers: Set<string>
  before: Baseline | undefined

  private constructor(homelab: HealthyHomelab) {
    this.homelab = homelab
    this.answers = { 'old.talos00': 503 }
    this.silentPeers = new Set(['10.42.0.9'])
  }

  static async make(): Promise<JudgedHomelab> {
    const home = new JudgedHomelab(await HealthyHomelab.make())
    try {
      await home.api.mergePatch('/api/v1/nodes/talos00', {
        metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } },
      })
      await write(home.api, judged)
      const { api, askIngress, reach, settings } = await home.#cluster()
      home.before = await takeBaseline(api, { askIngress, reach, meshPeers: settings.meshPeers })
      return home
    } catch (error) {
      await home.destroy()
      throw error
    }
  }

  get api(): KubernetesApi {
    return this.homelab.cluster.api
  }

  async look(): Promise<Seen> {
    return lookAgainst(this.before ?? null, await this.#cluster(), { recall: () => undefined })()
  }

  async #cluster(): Promise<LiveCluster> {
    const settings = this.homelab.settings({ MESH_PEERS: '10.42.0.1 10.42.0.9' })
    return {
      ...{ settings, api: this.api, talosctl: await Talosctl.open(settings), target: controlPlane(settings) },
      now: () => new Date(),
      askIngress: async (hosts) =>
        hosts.map((host) => {
          const status = this.answers[host] ?? 200
          return { host, status, saw: `HTTP ${status}` }
        }),
      reach: async ({ address }) => (this.silentPeers.has(address) ? 'silent' : 'reached'),
      nebula: () => nebulaCertificates(this.api, settings, systemClock, () => findNebulaCert(settings)),
    }
  }

  destroy(): Promise<void> {
    return this.homelab.destroy()
  }
}

type Cure = () => unknown

/** One way in which the evening has broken the homelab, and all that verify has to say of it. */
export interface Regression {
  readonly what: string
  /** @returns what mends it */
  readonly breaks: (home: JudgedHomelab) => Promise<Cure>
  readonly found: readonly (readonly [check: string, subject: string])[]
}

type Breaks = Regression['breaks']

/** Another status. */
export const status =
  (path: string, broken: Record<string, unknown>): Breaks =>
  async ({ api }) => {
    const before = ((await api.get(path)).status ?? {}) as Record<string, unknown>
    await setStatus(api, path, broken)
    const without = Object.fromEntries(Object.keys(broken).map((field) => [field, null]))
    return () => setStatus(api, path, { ...without, ...before })
  }

/** Other fields of its spec; `mended` puts them back, for a merge patch takes away what is null. */
export const spec =
  (path: string, broken: Record<string, unknown>, mended: Record<string, unknown>): Breaks =>
  async ({ api }) => {
    await api.mergePatch(path, { spec: broken })
    return () => api.mergePatch(path, { spec: mended })
  }

export const gone =
  (path: string): Breaks =>
  async ({ api }) => {
    const { metadata, ...rest } = await api.get(path)
    // No controller runs that would take the protection of volumes in use away.
    await api.mergePatch(path, { metadata: { finalizers: null } })
    await api.remove(path, { gracePeriodSeconds: 0 })
    const { name, labels = {} } = metadata
    return () => again(api, path, { ...rest, metadata: { name, labels } })
  }

async function again(api: KubernetesApi, path: string, { status: was, ...object }: KubernetesObject): Promise<void> {
  await api.create(path.slice(0, path.lastIndexOf('/')), object)
  if (was !== undefined) await setStatus(api, path, was)
}

/** Something beside the API. */
export const outside =
  (change: (home: JudgedHomelab) => void, back: (home: JudgedHomelab) => void): Breaks =>
  async (home) => {
    change(home)
    return () => back(home)
  }
