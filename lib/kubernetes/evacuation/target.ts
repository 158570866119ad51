import { OperatorError } from '../../migration/errors.ts'
import type { Settings } from '../../settings.ts'
import type { KubernetesApi } from '../api.ts'
import type { Node } from '../kinds.ts'
import { isNodeReady, isVirtual, listNodes } from '../nodes.ts'
import type { CopyNode } from './job.ts'

/** Where local volumes are copied to: a class and, if it is a local one, the other node on whose disk they lie. */
export interface Target {
  readonly storageClass: string
  readonly copyNode: CopyNode | null
}

/**
 * What EVACUATE_TO and EVACUATE_NODE mean in this cluster.
 * @param before where this run's copies are, for what is not set
 * @throws OperatorError with exit code 2 when there is no such class or node, or when the node could not keep the copies
 */
export async function evacuationTarget(
  api: KubernetesApi,
  settings: Pick<Settings, 'evacuateTo' | 'evacuateNode' | 'localStorageClasses' | 'nodeName'>,
  before?: { storageClass: string; copyNode: string | null },
): Promise<Target> {
  const storageClass = settings.evacuateTo ?? before?.storageClass
  const classes = (await api.list('/apis/storage.k8s.io/v1/storageclasses')).map(({ metadata }) => metadata.name)
  const outside = classes.filter((each) => !settings.localStorageClasses.includes(each))
  const options = {
    means: `Nothing was changed. Classes that lie outside of the machine: ${outside.join(', ') || 'none'}.`,
    next: `Name one of them: EVACUATE_TO=${outside[0] ?? 'CLASS'}`,
    exitCode: 2 as const,
  }
  if (storageClass === undefined)
    throw new OperatorError('EVACUATE_TO is not set: where should local volumes be copied to?', options)
  if (!classes.includes(storageClass))
    throw new OperatorError(`There is no storage class ${storageClass} in this cluster.`, options)
  if (!settings.localStorageClasses.includes(storageClass)) return { storageClass, copyNode: null }
  const name = settings.evacuateNode ?? before?.copyNode ?? undefined
  return { storageClass, copyNode: nodeFor(storageClass, name, settings.nodeName, await listNodes(api)) }
}

function nodeFor(storageClass: string, name: string | undefined, goes: string, nodes: readonly Node[]): CopyNode {
  const others = nodes.filter((node) => whyNot(node, goes) === null).map(({ metadata }) => metadata.name)
  const refusal = (what: string) =>
    new OperatorError(what, {
      means: `Nothing was changed. Nodes that could keep the copies: ${others.join(', ') || 'none'}.`,
      next: `${others[0] ? `Name one of them: EVACUATE_NODE=${others[0]}, or set` : 'Set'} EVACUATE_TO to a class that lies outside of the machine.`,
      exitCode: 2,
    })
  if (name === undefined) {
    throw refusal(`EVACUATE_TO=${storageClass} is local, and EVACUATE_NODE is not set: on which other node's disk?`)
  }
  const node = nodes.find(({ metadata }) => metadata.name === name)
  if (!node) throw refusal(`EVACUATE_NODE=${name}: there is no such Node in this cluster.`)
  const why = whyNot(node, goes)
  if (why !== null) throw refusal(`EVACUATE_NODE=${name} ${why}.`)
  const hostname = node.metadata.labels?.[hostnameLabel] ?? name
  const terms = [{ matchExpressions: [{ key: hostnameLabel, operator: 'In', values: [hostname] }] }]
  return { name, affinity: { nodeSelectorTerms: terms } }
}

const hostnameLabel = 'kubernetes.io/hostname'

/** Why a node could not keep copies while another is replaced. Whether a volume fits is seen as it is copied. */
function whyNot(node: Node, goes: string): string | null {
  if (node.metadata.name === goes) return 'is the machine that goes away'
  if (isVirtual(node)) return 'is a virtual node: another cluster, not a machine of this one'
  if (!isNodeReady(node)) return 'is not Ready'
  if (node.spec.unschedulable === true) return 'is cordoned'
  const full = node.status?.conditions?.find(({ type, status }) => type === 'DiskPressure' && status === 'True')
  return full ? `has no room: ${full.message ?? 'DiskPressure'}` : null
}
