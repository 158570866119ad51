import * as z from 'zod'
import { ApiError } from '../../kubernetes/api.ts'
import type { Node } from '../../kubernetes/kinds.ts'
import { isNodeReady, isVirtual } from '../../kubernetes/nodes.ts'
import { isReady } from '../../kubernetes/pods.ts'
import { collectionPath } from '../../kubernetes/served.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import type { Sides } from './arguments.ts'
import { ends, isAccepted } from './peer.ts'
import { concerning, type Direction, type Peering } from './peering.ts'
import { podsOnVirtualNodes, recordedOffloaded } from './record.ts'
import { liqoObjects, remoteClusterLabel, type Side } from './side.ts'

export const offloadingUndoKind = 'liqo-offloading'

const undoSchema = z.object({ kind: z.literal(offloadingUndoKind), path: z.string() })

interface Conditioned {
  conditions?: { type: string; status: string; message?: string }[]
}

/** Puts the NamespaceOffloadings back that went with the peering. Those that are there stay as they are. */
export async function putOffloadingsBack(migration: Migration, here: Side, { offloadings }: Peering): Promise<void> {
  const served = here.served.get('namespaceoffloadings')
  if (served === undefined) return
  const there = new Set((await liqoObjects(here, 'namespaceoffloadings')).map(({ path }) => path))
  for (const { namespace, name, spec } of offloadings) {
    const collection = collectionPath(served, namespace)
    const path = `${collection}/${name}`
    if (there.has(path)) continue
    const object = {
      apiVersion: `${served.group}/${served.version}`,
      kind: served.kind,
      metadata: { name, namespace },
      spec,
    }
    await migration.change(`Offload the namespace ${namespace} again (NamespaceOffloading ${name})`, {
      undo: { kind: offloadingUndoKind, path },
      apply: async () => {
        await here.api.create(collection, object).catch((error: unknown) => {
          if (!(error instanceof ApiError && error.status === 409)) throw error
        })
      },
    })
  }
}

/** Takes a NamespaceOffloading away again that migrate:repeer had put back. */
export async function undoOffloading({ api }: Side, change: JournaledChange): Promise<Undone> {
  const { path } = undoSchema.parse(change.undo)
  if ((await api.getOrNull(path)) === null) return 'already'
  await api.remove(path)
  return 'undone'
}

/**
 * Waits until the slices are accepted and the virtual nodes that there were are back and Ready.
 * @throws OperatorError after LIQO_TIMEOUT, saying what is missing
 */
export async function virtualNodesAreReady(migration: Migration, sides: Sides, peering: Peering): Promise<void> {
  for (const direction of peering.directions) {
    const [from, to] = ends(sides, direction)
    await migration.wait({
      name: `what ${to.clusterId} offers is a Ready node in ${from.clusterId}`,
      timeoutSeconds: migration.settings.liqoTimeout,
      everyMs: 1000,
      hint: 'Look at why: liqoctl info; kubectl get resourceslices,virtualnodes -A. The same command goes on from there.',
      probe: async () => {
        const missing = await missingOf(from, to, direction)
        return missing.length === 0 ? { met: true, value: undefined } : { met: false, saw: missing.join('; ') }
      },
    })
  }
}

/**
 * Waits until as many pods as before are ready on the virtual nodes, of each workload.
 * @throws OperatorError after CONVERGE_TIMEOUT, naming the workloads that are behind
 */
export async function offloadedPodsRun(migration: Migration, { here }: Sides): Promise<void> {
  const { pods } = recordedOffloaded(migration)
  if (Object.keys(pods).length === 0) return
  await migration.wait({
    name: 'what was offloaded runs in the other cluster again',
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 1000,
    hint: 'Look at why: kubectl get pods -A -o wide; kubectl describe pod. The same command goes on from there.',
    probe: async () => {
      const now = await podsOnVirtualNodes(here.api, isReady)
      const behind = Object.entries(pods).filter(([owner, count]) => (now[owner] ?? 0) < count)
      if (behind.length === 0) return { met: true, value: undefined }
      return {
        met: false,
        saw: behind.map(([owner, count]) => `${owner} has ${now[owner] ?? 0} of ${count}`).join(', '),
      }
    },
  })
}

async function missingOf(from: Side, to: Side, direction: Direction): Promise<string[]> {
  const [slices, virtualNodes, nodes] = await Promise.all([
    concerning(from, 'resourceslices', to.clusterId),
    concerning(from, 'virtualnodes', to.clusterId),
    from.api.list<Node>('/api/v1/nodes', { labelSelector: `${remoteClusterLabel}=${to.clusterId}` }),
  ])
  const missing: string[] = []
  for (const { name } of direction.slices) {
    const slice = slices.find(({ object }) => object.metadata.name === name)
    if (slice === undefined) missing.push(`there is no ResourceSlice ${name}`)
    else if (!isAccepted(slice.object)) missing.push(`ResourceSlice ${name} is not accepted yet`)
  }
  for (const { name, hasNode } of direction.virtualNodes) {
    const virtualNode = virtualNodes.find(({ object }) => object.metadata.name === name)
    const node = nodes.filter(isVirtual).find(({ metadata }) => metadata.name === name)
    if (virtualNode === undefined) missing.push(`there is no VirtualNode ${name}`)
    else if (!hasNode) missing.push(...notRunning(name, (virtualNode.object.status ?? {}) as Conditioned))
    else if (node === undefined) missing.push(`there is no Node ${name}`)
    else if (!isNodeReady(node)) missing.push(`Node ${name} is not Ready`)
  }
  return missing
}

function notRunning(name: string, { conditions = [] }: Conditioned): string[] {
  const kubelet = conditions.find(({ type }) => type === 'VirtualKubelet')
  return kubelet?.status === 'Running'
    ? []
    : [`the virtual kubelet of ${name} is ${kubelet?.status ?? 'not there yet'}`]
}
