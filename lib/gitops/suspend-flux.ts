import pMap from 'p-map'
import * as z from 'zod'
import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import { type FluxObject, type FluxResource, readFlux, servedFluxKinds, suspensionOrder } from './flux.ts'

/** What was done, for the journal and the summary. */
export interface SuspendedGitOps {
  installed: boolean
  suspended: string[]
  alreadySuspended: string[]
  [field: string]: boolean | string[]
}

export const fluxUndoKind = 'flux-suspend'

/** What the journal holds of a suspended object: where it is, and what `spec.suspend` was (null: it was not there). */
export const fluxUndoSchema = z.object({
  kind: z.literal(fluxUndoKind),
  path: z.string(),
  suspend: z.union([z.literal(false), z.null()]),
})

const concurrency = 8
const stableReads = 8
// A controller that died in the middle leaves its Reconciling condition behind for ever; after so many quiet reads it
// is taken for dead.
const stableReadsWhileApplying = 60

/**
 * Suspends every object of Flux that is not suspended, parents before their children, for a parent that applies its
 * manifests writes `suspend` of a child back. An apply that had begun before can still do so: what comes back is
 * suspended again, until all has stayed suspended for eight reads, half a second apart.
 */
export async function suspendFlux(migration: Migration, api: KubernetesApi): Promise<SuspendedGitOps> {
  const kinds = await servedFluxKinds(api)
  if (kinds.length === 0) {
    migration.console.info('Flux is not installed in this cluster: nothing to suspend.')
    return { installed: false, suspended: [], alreadySuspended: [] }
  }
  const objects = await readFlux(api, kinds)
  rememberUnready(migration, objects)
  const running = objects.filter((object) => !object.suspended)
  for (const group of suspensionOrder(running)) {
    await pMap(group, (object) => suspendFluxObject(migration, api, object), { concurrency })
  }
  await fluxStaysSuspended(migration, api, kinds)
  return {
    installed: true,
    suspended: running.map((object) => object.key),
    alreadySuspended: objects.filter((object) => object.suspended).map((object) => object.key),
  }
}

/**
 * What was not ready before we touched anything need not be waited for afterwards. Keeps the first answer of the run.
 */
export function rememberUnready(migration: Migration, objects: readonly FluxObject[]): void {
  if (unreadyBefore(migration) !== undefined) return
  const unready = objects.filter((object) => object.ready !== 'True')
  migration.remember(
    'flux-unready',
    unready.map((object) => object.key),
  )
}

/** Objects of Flux that were not ready before the drain; undefined if nobody looked. */
export function unreadyBefore(migration: Migration): string[] | undefined {
  return migration.recall('flux-unready', z.array(z.string()))
}

/** Suspends one object, with what its `suspend` was in the journal. */
export async function suspendFluxObject(migration: Migration, api: KubernetesApi, object: FluxObject): Promise<void> {
  await migration.change(`Suspend ${object.key}`, {
    undo: { kind: fluxUndoKind, path: object.path, suspend: object.suspendField },
    apply: async () => {
      await api.mergePatch(object.path, { spec: { suspend: true } })
    },
  })
}

async function fluxStaysSuspended(
  migration: Migration,
  api: KubernetesApi,
  kinds: readonly FluxResource[],
): Promise<void> {
  let quietReads = 0
  await migration.wait({
    name: 'Flux stays suspended',
    timeoutSeconds: 180,
    everyMs: 500,
    hint: 'Something un-suspends it: look for a parent (flux-operator, another Flux, Argo CD) that applies these objects, and suspend that first.',
    probe: async () => {
      const objects = await readFlux(api, kinds)
      const running = objects.filter((object) => !object.suspended)
      if (running.length > 0) {
        quietReads = 0
        if (!migration.dryRun) for (const object of running) await suspendFluxObject(migration, api, object)
        return { met: false, saw: `${running.map((object) => object.key).join(', ')} not suspended` }
      }
      quietReads++
      const applying = objects.filter((object) => object.applying && object.role === 'applier')
      const enough = applying.length > 0 ? stableReadsWhileApplying : stableReads
      const busy = applying.length > 0 ? `; ${applying.map((object) => object.key).join(', ')} was still applying` : ''
      const saw = `all ${objects.length} suspended, looking whether they stay so${busy}`
      return quietReads >= enough ? { met: true, value: undefined, saw } : { met: false, saw }
    },
  })
}
