import * as z from 'zod'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Pod, Workload } from '../../kubernetes/kinds.ts'
import { isVirtual, listNodes } from '../../kubernetes/nodes.ts'
import { controllersOf, describeOwner, isFinished, listPods, ownerOf } from '../../kubernetes/pods.ts'
import type { Migration } from '../../migration/migration.ts'
import { type Peering, peeringSchema } from './peering.ts'

export const unpeerUndoKind = 'liqo-unpeer'
const peeringFact = 'liqo-peering'
const offloadedFact = 'liqo-offloaded'
const offloadedSchema = z.object({
  /** workloads whose pods run only on a virtual node */
  waiting: z.array(z.string()),
  /** how many pods ran on virtual nodes, by workload */
  pods: z.record(z.string(), z.number()),
})

/** What ran in the other cluster. */
export type Offloaded = z.infer<typeof offloadedSchema>

/** The peering as the run first saw it, or undefined. */
export function recordedPeering(migration: Migration): Peering | undefined {
  return migration.recall(peeringFact, peeringSchema)
}

/** Keeps the peering for the rest of the run. The first record stays: a later look may find it half torn down. */
export function recordPeering(migration: Migration, peering: Peering): Peering {
  const before = recordedPeering(migration)
  if (before?.there === peering.there) return before
  migration.remember(peeringFact, peering)
  return peering
}

/** The peering that this run has torn down and not made again; undefined if there is none. */
export function tornDownPeering(migration: Migration): Peering | undefined {
  const { journal } = migration
  const isDown = journal.changes({ kind: unpeerUndoKind }).some(({ state }) => state === 'done')
  const isUp = journal.phaseState('repeer') === 'done' && journal.doneAfter('repeer', 'unpeer')
  return isDown && !isUp ? recordedPeering(migration) : undefined
}

/** The workloads that cannot be ready before migrate:repeer, each named to the operator; none unless a peering is torn down. */
export function leftToRepeer(migration: Migration): string[] {
  const { console } = migration
  const { waiting } = recordedOffloaded(migration)
  if (waiting.length === 0 || tornDownPeering(migration) === undefined) return []
  console.info(`Not waited for here, but by migrate:repeer, for it runs in the other cluster: ${waiting.join(', ')}`)
  return waiting
}

export function recordedOffloaded(migration: Migration): Offloaded {
  return migration.recall(offloadedFact, offloadedSchema) ?? { waiting: [], pods: {} }
}

/**
 * Keeps what runs on virtual nodes, and what can run nowhere else: the workloads of namespaces whose pods are all offloaded.
 * Source: https://docs.liqo.io/en/v1.0.1/usage/namespace-offloading.html#pod-offloading-strategy
 */
export async function recordOffloaded(
  migration: Migration,
  api: KubernetesApi,
  { offloadings }: Peering,
): Promise<Offloaded> {
  const before = migration.recall(offloadedFact, offloadedSchema)
  if (before !== undefined) return before
  const pods = await podsOnVirtualNodes(api)
  const remoteOnly = offloadings.filter(({ spec }) => spec.podOffloadingStrategy === 'Remote')
  const nowhereElse = await Promise.all(remoteOnly.map(({ namespace }) => workloadsOf(api, namespace)))
  // A DaemonSet that tolerates everything has a pod there too; without that node it wants one less, and is ready.
  const moved = Object.keys(pods).filter((owner) => !owner.startsWith('DaemonSet '))
  const waiting = [...new Set([...moved, ...nowhereElse.flat()])].sort()
  const offloaded = { waiting, pods }
  migration.remember(offloadedFact, offloaded)
  return offloaded
}

/** How many pods that have not ended there are on virtual nodes, by workload. */
export async function podsOnVirtualNodes(
  api: KubernetesApi,
  isCounted: (pod: Pod) => boolean = isAny,
): Promise<Record<string, number>> {
  const virtual = new Set((await listNodes(api)).filter(isVirtual).map(({ metadata }) => metadata.name))
  if (virtual.size === 0) return {}
  const [all, replicaSets] = await Promise.all([listPods(api), api.list<Workload>('/apis/apps/v1/replicasets')])
  const controllers = controllersOf(replicaSets)
  const counted: Record<string, number> = {}
  for (const pod of all) {
    if (isFinished(pod) || !virtual.has(pod.spec.nodeName ?? '') || !isCounted(pod)) continue
    const owner = describeOwner(ownerOf(pod, controllers), pod)
    counted[owner] = (counted[owner] ?? 0) + 1
  }
  return counted
}

const isAny = () => true

async function workloadsOf(api: KubernetesApi, namespace: string): Promise<string[]> {
  const kinds = { Deployment: 'deployments', StatefulSet: 'statefulsets' }
  const lists = await Promise.all(
    Object.entries(kinds).map(async ([kind, resource]) =>
      (await api.list(`/apis/apps/v1/namespaces/${namespace}/${resource}`)).map(
        ({ metadata }) => `${kind} ${namespace}/${metadata.name}`,
      ),
    ),
  )
  return lists.flat()
}
