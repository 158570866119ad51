import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import type { Homelab } from './fixtures.ts'
import { nameOf } from './resources.ts'

type Condition = { type: string; status: string }

/** CustomResourceDefinitions that the API server does not serve yet. */
export async function unservedDefinitions(api: KubernetesApi, homelab: Homelab): Promise<string[]> {
  return unmet(api, homelab, 'CustomResourceDefinition', ({ status }) => {
    // null, not absent, in the instant after the definition was made
    const { conditions } = (status ?? {}) as { conditions?: Condition[] | null }
    return (conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True')
  })
}

/** Claims that are not bound yet. */
export async function unboundClaims(api: KubernetesApi, homelab: Homelab): Promise<string[]> {
  return unmet(api, homelab, 'PersistentVolumeClaim', (claim) => phaseOf(claim) === 'Bound')
}

/** Volumes that the volume controller has not looked at yet; one without a claim is Available. */
export async function unboundVolumes(api: KubernetesApi, homelab: Homelab): Promise<string[]> {
  return unmet(api, homelab, 'PersistentVolume', (volume) => ['Bound', 'Available'].includes(phaseOf(volume)))
}

function phaseOf({ status }: KubernetesObject): string {
  return (status as { phase?: string } | undefined)?.phase ?? ''
}

/** Workloads of which not all replicas are ready, and Jobs that are not complete. */
export async function unreadyWorkloads(api: KubernetesApi, homelab: Homelab): Promise<string[]> {
  const found = await Promise.all([
    unmet(api, homelab, 'Deployment', isScaled),
    unmet(api, homelab, 'StatefulSet', isScaled),
    unmet(api, homelab, 'DaemonSet', (object) => {
      const status = object.status as { numberReady?: number; desiredNumberScheduled?: number } | undefined
      const { numberReady = 0, desiredNumberScheduled = 0 } = status ?? {}
      return desiredNumberScheduled > 0 && numberReady === desiredNumberScheduled
    }),
    unmet(api, homelab, 'Job', ({ status }) => ((status as { succeeded?: number })?.succeeded ?? 0) > 0),
  ])
  return found.flat()
}

/** Whether a Deployment or StatefulSet has as many ready replicas as it should. */
export function isScaled(object: KubernetesObject): boolean {
  const { replicas = 1 } = object.spec as { replicas?: number }
  const { readyReplicas = 0, observedGeneration = 0 } = (object.status ?? {}) as Record<string, number>
  return readyReplicas === replicas && observedGeneration >= (object.metadata.generation ?? 1)
}

async function unmet(
  api: KubernetesApi,
  { objects, types }: Homelab,
  kind: string,
  isMet: (object: KubernetesObject) => boolean,
): Promise<string[]> {
  const wanted = objects.filter((object) => object.kind === kind)
  const first = wanted[0]
  if (!first) return []
  const live = await api.list(types.collection(first))
  const met = new Set(live.filter(isMet).map((object) => nameOf({ ...object, kind })))
  return wanted.map(nameOf).filter((name) => !met.has(name))
}
