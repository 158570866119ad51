import type { Condition } from '../migration/wait.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'

/** A workload whose pods are made anew when its template changes, by the names that it goes by. */
export interface RolledWorkload {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

interface Rolled extends KubernetesObject {
  spec: { replicas?: number; template?: { metadata?: { annotations?: Record<string, string> } } }
  status?: {
    observedGeneration?: number
    replicas?: number
    updatedReplicas?: number
    availableReplicas?: number
    desiredNumberScheduled?: number
    updatedNumberScheduled?: number
    numberAvailable?: number
  }
}

/** What the pods were last restarted for. kubectl writes the time; with the reason instead, a restart that was made is not made again. */
const annotation = 'talos-migrate/restarted-for'

export function workloadPath({ kind, namespace, name }: RolledWorkload): string {
  return `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`
}

/**
 * Makes the pods of a workload anew, as `kubectl rollout restart` does; nothing happens when it was restarted for the same reason before.
 * @param reason short, without secrets, such as the fingerprint of what the pods are to read
 */
export async function restart(api: KubernetesApi, workload: RolledWorkload, reason: string): Promise<void> {
  const template = { metadata: { annotations: { [annotation]: reason } } }
  await api.mergePatch(workloadPath(workload), { spec: { template } }, { fieldManager: 'talos-migrate' })
}

/** Every pod is of the newest template and available: what `kubectl rollout status` waits for. */
export function isRolledOut(api: KubernetesApi, workload: RolledWorkload, timeoutSeconds: number): Condition<void> {
  const { kind, namespace, name } = workload
  return {
    name: `${kind} ${namespace}/${name} has restarted`,
    timeoutSeconds,
    everyMs: 1000,
    hint: `Look at its pods: kubectl -n ${namespace} describe ${kind.toLowerCase()}/${name}. With updateStrategy OnDelete they are to be deleted by hand.`,
    probe: async () => {
      const { observed, wanted, updated, available, all } = progressOf(await api.get<Rolled>(workloadPath(workload)))
      const saw = `${updated} of ${wanted} pods made anew, ${available} available`
      const done = observed && updated >= wanted && available >= wanted && all <= updated
      return done ? { met: true, value: undefined, saw } : { met: false, saw }
    },
  }
}

function progressOf({ kind, metadata, spec, status = {} }: Rolled) {
  const observed = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0)
  if (kind === 'DaemonSet') {
    const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled: updated = 0 } = status
    return { observed, wanted, updated, available: status.numberAvailable ?? 0, all: updated }
  }
  const updated = status.updatedReplicas ?? 0
  return {
    observed,
    wanted: spec.replicas ?? 1,
    updated,
    available: status.availableReplicas ?? 0,
    all: status.replicas ?? 0,
  }
}
