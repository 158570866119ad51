import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration, Undone } from '../migration/migration.ts'
import { ApiError, type KubernetesApi } from './api.ts'
import type { Node } from './kinds.ts'

export const cordonUndoKind = 'cordon'

/**
 * What the journal holds of a node that we cordoned. One that was cordoned before us has no such record, and stays
 * cordoned.
 */
const cordonUndoSchema = z.object({ kind: z.literal(cordonUndoKind), node: z.string() })

/** Every Node of the cluster, Liqo's virtual ones included. */
export async function listNodes(api: KubernetesApi): Promise<Node[]> {
  return api.list<Node>('/api/v1/nodes')
}

/**
 * The Nodes of these names, or with these labels.
 * @param wanted names, or labels as kubectl writes a selector
 * @throws OperatorError when there is none, or when one of them is not one that can be drained
 */
export async function findNodes(
  api: KubernetesApi,
  wanted: { names: readonly string[] } | { labels: string },
): Promise<Node[]> {
  if ('names' in wanted) return Promise.all(wanted.names.map((name) => getNode(api, name)))
  const nodes = await api.list<Node>('/api/v1/nodes', { labelSelector: wanted.labels }).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 400) throw notASelector(wanted.labels, error)
    throw error
  })
  if (nodes.length === 0) {
    throw new OperatorError(`No Node has the labels ${wanted.labels}.`, { next: 'kubectl get nodes --show-labels' })
  }
  for (const node of nodes) refuseVirtual(node)
  return nodes
}

/** @throws OperatorError when there is no such Node, or when it is not one that can be drained */
export async function getNode(api: KubernetesApi, name: string): Promise<Node> {
  const node = await api.getOrNull<Node>(nodePath(name))
  if (!node) {
    const names = (await listNodes(api)).map((each) => each.metadata.name)
    throw new OperatorError(`There is no Node ${name} in this cluster.`, {
      means: `Its Nodes are: ${names.join(', ') || 'none'}.`,
      next: 'Correct NODE_NAME.',
    })
  }
  refuseVirtual(node)
  return node
}

/** @throws OperatorError when the node is another cluster: cordoning it would end the offloading, draining it a peer's pods */
function refuseVirtual(node: Node): void {
  if (!isVirtual(node)) return
  const { name } = node.metadata
  throw new OperatorError(`Node ${name} is a virtual node of Liqo: another cluster, not a machine of this one.`, {
    means: 'Nothing was changed: it is neither cordoned nor drained.',
    next: 'Set NODE_NAME to the control plane node, or choose others with --node or --selector.',
  })
}

/** What is told of a selector that the API server does not understand. */
export function notASelector(text: string, cause: ApiError): OperatorError {
  return new OperatorError(`${text} is no selector of labels: ${cause.message}`, {
    next: "Such as: app=web,tier!=cache or 'app in (web, api)'",
    exitCode: 2,
    cause,
  })
}

/** Whether the node's Ready condition is True. A kubelet that has gone silent makes it Unknown. */
export function isNodeReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

/** Keeps pods off Liqo's virtual nodes, apart from those of offloaded namespaces. */
export const liqoTaint = 'virtual-node.liqo.io/not-allowed'

/**
 * Whether the node is another cluster, offered by Liqo, or another virtual kubelet's. Told by any of its marks: a label
 * is soon taken off by mistake.
 */
export function isVirtual({ metadata, spec }: Node): boolean {
  const { 'liqo.io/type': liqo, type } = metadata.labels ?? {}
  if (liqo === 'virtual-node' || type === 'virtual-kubelet') return true
  if (spec.providerID?.startsWith('liqo://')) return true
  return (spec.taints ?? []).some(({ key }) => key === liqoTaint || key === 'virtual-kubelet.io/provider')
}

/** Nodes other than the emptied ones where an evicted pod without special tolerations could go. */
export function otherHomes(nodes: readonly Node[], emptied: ReadonlySet<string>): Node[] {
  return nodes.filter(
    (node) =>
      !emptied.has(node.metadata.name) &&
      !isVirtual(node) &&
      isNodeReady(node) &&
      node.spec.unschedulable !== true &&
      !(node.spec.taints ?? []).some(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute'),
  )
}

/** Marks the node unschedulable, unless it is: then that is how it was found, and how it will be left. */
export async function cordon(
  migration: Migration,
  api: KubernetesApi,
  name: string,
): Promise<'cordoned' | 'was cordoned'> {
  const node = await getNode(api, name)
  if (node.spec.unschedulable === true) {
    const ours = migration.journal.changes({ kind: cordonUndoKind }).some((change) => change.state !== 'undone')
    if (!ours) migration.console.info(`Node ${name} was cordoned already: resume will leave it so.`)
    return 'was cordoned'
  }
  await migration.change(`Cordon Node ${name}`, {
    undo: { kind: cordonUndoKind, node: name },
    apply: async () => {
      await api.mergePatch(nodePath(name), { spec: { unschedulable: true } })
    },
  })
  return 'cordoned'
}

/** Makes a node that we cordoned schedulable again. */
export async function undoCordon(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { node: name } = cordonUndoSchema.parse(undo)
  const node = await api.getOrNull<Node>(nodePath(name))
  if (!node) return `conflict: there is no Node ${name} any more`
  if (node.spec.unschedulable !== true) return 'already'
  await api.mergePatch(nodePath(name), { spec: { unschedulable: null } })
  return 'undone'
}

/** Uncordons what the journal says we cordoned. */
export async function uncordon(migration: Migration, api: KubernetesApi): Promise<void> {
  for (const change of migration.journal.changes({ kind: cordonUndoKind })) {
    await migration.undo(change, () => undoCordon(api, change.undo))
  }
}

/** Waits until the API server answers that it is ready. */
export async function apiIsUp(migration: Migration, api: KubernetesApi): Promise<void> {
  await migration.wait({
    name: `the API at ${api.server} is ready`,
    timeoutSeconds: migration.settings.apiTimeout,
    everyMs: 1000,
    hint: 'Is the new machine provisioned, and does the kubeconfig point to it? task talos:kubeconfig',
    probe: async () => {
      const answer = (await api.raw('/readyz')).toString('utf8')
      return answer === 'ok' ? { met: true, value: undefined } : { met: false, saw: answer }
    },
  })
}

/** Waits until the node's kubelet reports it ready to this API server. */
export async function nodeIsReady(migration: Migration, api: KubernetesApi, name: string): Promise<void> {
  await migration.wait({
    name: `Node ${name} is Ready`,
    timeoutSeconds: migration.settings.apiTimeout,
    everyMs: 1000,
    hint: `Look at why: kubectl describe node ${name}; talosctl service kubelet. Another name than before? Pin machine.network.hostname.`,
    probe: async () => {
      const node = await api.getOrNull<Node>(nodePath(name))
      if (!node) return { met: false, saw: 'no such Node yet' }
      const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
      return ready?.status === 'True'
        ? { met: true, value: undefined }
        : { met: false, saw: ready?.message ?? 'its kubelet has not reported yet' }
    },
  })
}

function nodePath(name: string): string {
  return `/api/v1/nodes/${name}`
}
