import type { KubernetesApi, KubernetesObject } from '../../../../lib/kubernetes/api.ts'
import type { PreflightContext } from '../../../../lib/verify/preflight/context.ts'
import { setStatus } from '../healthy-cluster.ts'
import type { HealthyHomelab } from '../healthy-homelab.ts'

/** The machine, and where the new one will be. */
export const old = '192.168.1.54'
export const next = '192.168.1.60'
export const dayMs = 86_400_000
export const unready = (message: string) => ({ conditions: [{ type: 'Ready', status: 'False', message }] })

type Expected = [severity: 'error' | 'warning', check: string, subject: string]

/** One way in which the homelab is sick, and all that preflight has to say of it. */
export interface Sickness {
  readonly what: string
  readonly settings?: Record<string, string>
  readonly parts?: Partial<PreflightContext>
  /** @returns what cures it */
  readonly sicken?: (homelab: HealthyHomelab) => Promise<(() => unknown) | undefined>
  readonly found: readonly Expected[]
}

type Sicken = NonNullable<Sickness['sicken']>

/** Another status, until it is cured. */
export const status =
  (path: string, sick: Record<string, unknown>): Sicken =>
  async ({ cluster: { api } }) => {
    const before = (await api.get(path)).status as Record<string, unknown>
    await setStatus(api, path, sick)
    const without = Object.fromEntries(Object.keys(sick).map((field) => [field, null]))
    return () => setStatus(api, path, { ...without, ...before })
  }

/** Something that is not there in a healthy one, with its status. */
export const added =
  (...objects: readonly [collection: string, object: KubernetesObject][]): Sicken =>
  async ({ cluster: { api } }) => {
    for (const [collection, object] of objects) await add(api, collection, object)
    return async () => {
      for (const [collection, { metadata }] of objects) {
        const path = `${collection}/${metadata.name}`
        // No controller runs that would take the protection of volumes in use away.
        await api.mergePatch(path, { metadata: { finalizers: null } })
        await api.remove(path, { gracePeriodSeconds: 0 })
      }
    }
  }

async function add(api: KubernetesApi, collection: string, object: KubernetesObject): Promise<void> {
  await api.create(collection, object)
  if (object.status !== undefined) await setStatus(api, `${collection}/${object.metadata.name}`, object.status)
}

/** What lies on the operator's disk, until it is put back. */
export const files =
  (change: (homelab: HealthyHomelab) => void, back: (homelab: HealthyHomelab) => void): Sicken =>
  async (homelab) => {
    change(homelab)
    return () => back(homelab)
  }
