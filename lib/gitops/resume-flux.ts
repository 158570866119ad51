import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { JournaledChange } from '../migration/journal.ts'
import type { Migration, Undone } from '../migration/migration.ts'
import { type FluxObject, type FluxRole, readFlux, servedFluxKinds } from './flux.ts'
import { fluxUndoKind, fluxUndoSchema } from './suspend-flux.ts'

const requestAnnotation = 'reconcile.fluxcd.io/requestedAt'
const unreachableAfterSeconds = 90
const nudgeAfterSeconds = 30
// No condition at all: no controller looks at this object, and none ever did.
const silentAfterSeconds = 45

/** Puts `spec.suspend` of one object back as it was before us. Someone who resumed it meanwhile did what we would have done. */
export async function undoFluxSuspend(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, suspend } = fluxUndoSchema.parse(undo)
  const object = await api.getOrNull<KubernetesObject & { spec?: { suspend?: boolean } }>(path)
  if (object?.spec?.suspend !== true) return 'already'
  await api.mergePatch(path, { spec: { suspend } })
  return 'undone'
}

/**
 * Resumes what we suspended, in the reverse of the order of suspension.
 * Sources come first: a Kustomization that finds no artifact fails and comes back only after its interval, and after a restart of
 * source-controller its store is empty while the revision is the same, so that no event wakes it. Then releases, then Kustomizations, the
 * children before their parents: a parent with `wait: true` hangs on a child that is still suspended.
 */
export async function resumeFlux(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal
    .changes({ kind: fluxUndoKind })
    .filter((change) => change.state !== 'undone')
    .reverse()
  const roles = new Map((await allFlux(api)).map((object) => [object.path, object.role]))
  const ofRole = (role: FluxRole) => changes.filter((change) => roleOf(change, roles) === role)
  await undoAll(migration, api, ofRole('source'))
  await waitForFlux(migration, api, 'Flux has fetched its sources', 'source')
  await undoAll(migration, api, [...ofRole('release'), ...ofRole('applier')])
}

/** Waits until every object of Flux is ready, apart from those that were suspended before us, and those that cannot get ready: they are named. */
export async function fluxIsReady(migration: Migration, api: KubernetesApi): Promise<string[]> {
  return waitForFlux(migration, api, 'Flux has reconciled')
}

async function undoAll(migration: Migration, api: KubernetesApi, changes: readonly JournaledChange[]): Promise<void> {
  for (const change of changes) await migration.undo(change, () => undoFluxSuspend(api, change.undo))
}

function roleOf(change: JournaledChange, roles: ReadonlyMap<string, FluxRole>): FluxRole {
  const path = String(change.undo?.path ?? '')
  return roles.get(path) ?? 'applier'
}

async function allFlux(api: KubernetesApi): Promise<FluxObject[]> {
  return readFlux(api, await servedFluxKinds(api))
}

async function waitForFlux(migration: Migration, api: KubernetesApi, name: string, role?: FluxRole): Promise<string[]> {
  const patience = new Patience(migration)
  const failing = await migration.wait({
    name,
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 2000,
    hint: 'Look at what the conditions say: kubectl get kustomizations,helmreleases,gitrepositories -A',
    probe: async () => {
      const objects = (await allFlux(api)).filter(
        (object) => !object.suspended && (role === undefined || object.role === role),
      )
      const waiting = objects.filter((object) => object.ready !== 'True' || !object.observed)
      for (const object of patience.dueForANudge(waiting)) await requestReconcile(migration, api, object)
      const pending = waiting.filter((object) => !patience.isExhausted(object))
      const saw = `${objects.length - waiting.length} of ${objects.length} ready${named(waiting)}`
      return pending.length === 0 ? { met: true, value: waiting, saw } : { met: false, saw }
    },
  })
  for (const object of failing ?? []) migration.console.warn(`${object.key} does not get ready: ${object.message}`)
  return (failing ?? []).map((object) => `${object.key}: ${object.message}`)
}

function named(objects: readonly FluxObject[]): string {
  if (objects.length === 0) return ''
  const [first] = objects
  const more = objects.length > 1 ? ` and ${objects.length - 1} more` : ''
  return `; ${first?.key}: ${first?.message}${more}`
}

/** Asks the controller to look now rather than after its back-off. Source: https://fluxcd.io/flux/components/source/gitrepositories/#triggering-a-reconcile */
async function requestReconcile(migration: Migration, api: KubernetesApi, object: FluxObject): Promise<void> {
  await migration.change(`Request reconcile of ${object.key}`, {
    apply: async () => {
      const annotations = { [requestAnnotation]: migration.clock.now().toISOString() }
      await api.mergePatch(object.path, { metadata: { annotations } })
    },
  })
}

/**
 * How long each failing object has been failing. What has just been un-suspended is reconciled at once because its generation changed;
 * what failed then (the network was not up yet) is asked once more, and what goes on failing is given up and named.
 */
class Patience {
  readonly #clock: Migration['clock']
  readonly #failingSince = new Map<string, number>()
  readonly #nudged = new Set<string>()

  constructor(migration: Migration) {
    this.#clock = migration.clock
  }

  dueForANudge(waiting: readonly FluxObject[]): FluxObject[] {
    const due = waiting.filter(
      (object) => !this.#nudged.has(object.key) && this.#secondsFailing(object) >= nudgeAfterSeconds,
    )
    for (const object of due) this.#nudged.add(object.key)
    return due
  }

  isExhausted(object: FluxObject): boolean {
    const limit = object.ready === 'Absent' ? silentAfterSeconds : unreachableAfterSeconds
    return this.#secondsFailing(object) >= limit
  }

  #secondsFailing(object: FluxObject): number {
    const now = this.#clock.now().getTime()
    if (object.ready === 'True' || object.ready === 'Unknown') {
      this.#failingSince.delete(object.key)
      return 0
    }
    const since = this.#failingSince.get(object.key) ?? now
    this.#failingSince.set(object.key, since)
    return (now - since) / 1000
  }
}
