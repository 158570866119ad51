import type { Condition, Probe } from '../migration/migration.ts'

/** The little that is read of the Kubernetes API here; KubernetesApi of lib/kubernetes is one. */
export interface KubernetesReader {
  readonly server: string
  raw(path: string): Promise<Buffer>
  getOrNull<T>(path: string): Promise<T | null>
}

/** On Talos these are static pods, mirrored into kube-system; there is no `talosctl service` for them. */
const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const
/** Those of them that hold a lease, and renew it every few seconds, while they work. */
const leaders = ['kube-controller-manager', 'kube-scheduler'] as const

interface Conditions {
  status?: { conditions?: { type: string; status: string; reason?: string; message?: string }[] }
}
interface Node extends Conditions {
  status?: Conditions['status'] & { nodeInfo?: { bootID?: string } }
}
interface Lease {
  spec?: { renewTime?: string; holderIdentity?: string }
}

/** Waits until the API server calls itself ready (https://kubernetes.io/docs/reference/using-api/health-checks/). */
export function apiReady(api: KubernetesReader, timeoutSeconds: number): Condition<true> {
  return {
    name: `the Kubernetes API is ready at ${api.server}`,
    timeoutSeconds,
    everyMs: 250,
    hint: 'Look at its log: talosctl logs --kubernetes kube-system/kube-apiserver-…; talosctl containers --kubernetes shows the names.',
    probe: async () => {
      try {
        await api.raw('/readyz')
        return { met: true, value: true }
      } catch (error) {
        // An API server that is not ready answers 500 with a list of its checks, `[-]name failed: …`.
        const failed = [...bodyOf(error).matchAll(/^\[-\](\S+)/gm)].map(([, name]) => name)
        if (failed.length === 0) throw error
        const more = failed.length > 3 ? ` and ${failed.length - 3} more` : ''
        return { met: false, saw: `it answers, not ready yet: ${failed.slice(0, 3).join(', ')}${more}` }
      }
    },
  }
}

function bodyOf(error: unknown): string {
  return error instanceof Error && 'body' in error && typeof error.body === 'string' ? error.body : ''
}

/** The UID of the namespace kube-system, which is the cluster's identity by convention. */
export async function kubeSystemUid(api: KubernetesReader): Promise<string | undefined> {
  const namespace = await api.getOrNull<{ metadata: { uid?: string } }>('/api/v1/namespaces/kube-system')
  return namespace?.metadata.uid
}

/**
 * Waits until the Node is ready, and says so itself. What a snapshot remembers of a Node is that it was ready once: so its
 * status must carry the boot id of the machine as it runs now, or its lease must be seen renewed.
 * @param bootId undefined for a machine that has not restarted: then its lease alone shows it
 */
export function nodeReady(
  api: KubernetesReader,
  name: string,
  bootId: string | undefined,
  timeoutSeconds: number,
): Condition<true> {
  const renewed = renewedLease(api, 'kube-node-lease', name)
  return {
    name: `Node ${name} is ready`,
    timeoutSeconds,
    everyMs: 500,
    hint: `Look at the kubelet: talosctl logs kubelet; kubectl describe node ${name}`,
    probe: async () => {
      const [node, fresh] = await Promise.all([api.getOrNull<Node>(`/api/v1/nodes/${name}`), renewed()])
      if (!node) return { met: false, saw: 'there is no such Node yet' }
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
      if (ready?.status !== 'True')
        return { met: false, saw: `Ready is ${ready?.status ?? 'unknown'} (${ready?.reason ?? 'no reason'})` }
      const restarted = bootId !== undefined && node.status?.nodeInfo?.bootID === bootId
      if (restarted || fresh) return { met: true, value: true }
      return { met: false, saw: 'its status is still that of the snapshot; the kubelet has not reported yet' }
    },
  }
}

/** Waits until the three control plane pods of a node are ready, and controller manager and scheduler hold their leases. */
export function controlPlaneReady(api: KubernetesReader, node: string, timeoutSeconds: number): Condition<true> {
  const leases = leaders.map((name) => ({ name, renewed: renewedLease(api, 'kube-system', name) }))
  const podProblem = async (component: string): Promise<string | null> => {
    const pod = await api.getOrNull<Conditions>(`/api/v1/namespaces/kube-system/pods/${component}-${node}`)
    const ready = pod?.status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status === 'True') return null
    return pod ? `${component} is not ready` : `${component} has no pod yet`
  }
  const leaseProblem = async ({ name, renewed }: (typeof leases)[number]): Promise<string | null> =>
    // Without a lease in the snapshot it runs without leader election.
    (await renewed()) === false ? `${name} has not renewed its lease yet` : null
  return {
    name: `${components.join(', ')} of ${node} are ready`,
    timeoutSeconds,
    everyMs: 500,
    hint: 'Look at them: talosctl containers --kubernetes; talosctl get staticpodstatus',
    probe: async (): Promise<Probe<true>> => {
      const found = await Promise.all([...components.map(podProblem), ...leases.map(leaseProblem)])
      const problems = found.filter((problem) => problem !== null)
      return problems.length === 0 ? { met: true, value: true } : { met: false, saw: problems.join(', ') }
    },
  }
}

/** Whether a lease was renewed since this was first asked: compared with itself, for clocks of two machines differ. null: there is none. */
function renewedLease(api: KubernetesReader, namespace: string, name: string): () => Promise<boolean | null> {
  let first: string | null | undefined
  return async () => {
    const lease = await api.getOrNull<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`)
    if (!lease) return null
    const renewTime = lease.spec?.renewTime ?? null
    if (first === undefined) first = renewTime
    return renewTime !== null && renewTime !== first
  }
}
