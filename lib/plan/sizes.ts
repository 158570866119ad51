import * as z from 'zod'
import { undecided } from '../kubernetes/evacuation/loss.ts'
import type { JournalRecord } from '../migration/journal.ts'
import type { Settings } from '../settings.ts'
import type { Inventory } from './inventory.ts'

/** How much there is to do, in the units that the time of a phase depends on. */
export interface Sizes {
  /** API objects, all kinds */
  readonly objects: number
  /** workloads that are scaled down and back */
  readonly stateful: number
  /** pods that are evicted */
  readonly pods: number
  /** longest terminationGracePeriodSeconds among them */
  readonly graceSeconds: number
  /** objects of Flux and Argo CD */
  readonly gitops: number
  /** what is claimed by the volumes that are copied off the machine, and back */
  readonly evacuatedBytes: number
  /** machines that become control planes (scenario C) */
  readonly joining: number
}

/** The sizes of this cluster, as it is now. */
export function sizesOf(inventory: Inventory, settings: Settings): Sizes {
  const { objects, stateful, outlook, flux, applications, volumes } = inventory
  const pods = outlook.evicted.map(({ pod }) => pod)
  const copied = undecided(volumes).filter(({ fate }) => fate === 'lost')
  return {
    objects,
    stateful: stateful.length,
    pods: pods.length,
    graceSeconds: Math.max(0, ...pods.map((pod) => pod.spec.terminationGracePeriodSeconds ?? 30)),
    gitops: flux + applications,
    evacuatedBytes: settings.evacuateTo === undefined ? 0 : copied.reduce((sum, { bytes }) => sum + bytes, 0),
    joining: settings.joinNode === undefined ? settings.joinNodes.length : 1,
  }
}

/** What of a size an earlier run's journal tells: how many objects it backed up, how many changes its drain made. */
export interface EarlierSizes {
  readonly objects: number | undefined
  readonly drained: number | undefined
}

const backedUp = z.object({ resources: z.array(z.object({ count: z.number() })) })

/** @param records of a run's journal */
export function earlierSizes(records: readonly JournalRecord[]): EarlierSizes {
  const results = records.flatMap((record) => {
    if (record.type !== 'step' || record.phase !== 'backup' || record.state !== 'done') return []
    const { data } = backedUp.safeParse(record.result)
    return data ? [data.resources.reduce((sum, { count }) => sum + count, 0)] : []
  })
  const drained = records.filter((record) => record.type === 'change' && record.phase === 'drain').length
  return { objects: results.at(-1) || undefined, drained: drained || undefined }
}

/** The same for this cluster: a drain scales each workload, evicts each pod, suspends each GitOps object. */
export function expectedSizes({ objects, stateful, pods, gitops }: Sizes): EarlierSizes {
  return { objects: objects || undefined, drained: stateful + pods + gitops || undefined }
}
