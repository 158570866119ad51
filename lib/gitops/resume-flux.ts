import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import type { Clock } from '../migration/clock.ts'
import type { JournaledChange } from '../migration/journal.ts'
import type { Migration, Undone } from '../migration/migration.ts'
import { type FluxObject, type FluxRole, readFlux, requestAnnotation, servedFluxKinds } from './flux.ts'
import { Progress } from './progress.ts'
import { type Request, requestReconcile, takeRequestsBack } from './request.ts'
import { fluxUndoKind, fluxUndoSchema, unreadyBefore } from './suspend-flux.ts'

const unreachableAfterSeconds = 90
const askAgainAfterSeconds = 20
// Neither a condition nor a look at the new generation: its controller does not run. The others say so soon enough.
const silentAfterSeconds = 40
const sourcesWithinSeconds = 120

/**
 * Puts `spec.suspend` of one object back as it was before us. Someone who resumed it meanwhile did what we would have
 * done.
 */
export async function undoFluxSuspend(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, suspend } = fluxUndoSchema.parse(undo)
  const object = await api.getOrNull<KubernetesObject & { spec?: { suspend?: boolean } }>(path)
  if (!object) return 'conflict: it is not there any more'
  if (object.spec?.suspend !== true) return 'already'
  await api.mergePatch(path, { spec: { suspend } })
  return 'undone'
}

/**
 * Resumes what we suspended, in the reverse of the order of suspension.
 * Sources come first: a Kustomization that finds no artifact fails and comes back only after its interval, and after a
 * restart of source-controller its store is empty while the revision is the same, so that no event wakes it. Then
 * releases, then Kustomizations, the children before their parents: a parent with `wait: true` hangs on a child that is
 * still suspended.
 */
export async function resumeFlux(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal
    .changes({ kind: fluxUndoKind })
    .filter((change) => change.state !== 'undone')
    .reverse()
  const roles = new Map((await allFlux(api)).map((object) => [object.path, object.role]))
  const ofRole = (role: FluxRole) => changes.filter((change) => roleOf(change, roles) === role)
  await undoAll(migration, api, ofRole('source'))
  const isSource = ({ role }: FluxObject) => role === 'source'
  await waitForFlux(migration, api, 'Flux has fetched its sources', sourcesWithinSeconds, isSource)
  await undoAll(migration, api, [...ofRole('release'), ...ofRole('applier')])
}

/**
 * Waits until every object of Flux is ready, apart from those that were suspended before us; those that do not get
 * ready are named.
 * @param later keys of those that cannot be ready before a later phase
 */
export async function fluxIsReady(
  migration: Migration,
  api: KubernetesApi,
  later: ReadonlySet<string> = new Set(),
): Promise<string[]> {
  const isMeant = ({ key }: FluxObject) => !later.has(key)
  return waitForFlux(migration, api, 'Flux has reconciled', migration.settings.convergeTimeout, isMeant)
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

/**
 * Ends when all is ready, or when nobody can be expected to get ready any more: a source that cannot be reached is no
 * reason to stop.
 */
async function waitForFlux(
  migration: Migration,
  api: KubernetesApi,
  name: string,
  withinSeconds: number,
  isMeant: (object: FluxObject) => boolean,
): Promise<string[]> {
  const before = unreadyBefore(migration) ?? []
  const patience = new Patience(migration.clock, withinSeconds)
  const progress = new Progress(migration.console, 'ready')
  const failing = await migration.wait({
    name,
    // The patience below ends it first, and keeps the names.
    timeoutSeconds: withinSeconds * 2,
    everyMs: 1000,
    probe: async () => {
      const objects = (await allFlux(api)).filter((each) => !each.suspended && isMeant(each))
      const waiting = objects.filter((each) => (each.ready !== 'True' && !before.includes(each.key)) || !each.observed)
      for (const object of patience.toBeAsked(waiting)) {
        await requestReconcile(migration, api, requestTo(object, migration.clock.now()))
      }
      progress.look(
        waiting.map(({ key }) => key),
        objects.map(({ key }) => key),
      )
      const pending = waiting.filter((object) => !patience.isExhausted(object))
      const saw = `${objects.length - waiting.length} of ${objects.length} ready${named(waiting)}`
      return pending.length === 0 ? { met: true, value: waiting, saw } : { met: false, saw }
    },
  })
  await takeRequestsBack(migration, api)
  const rows = (failing ?? []).map((object) => [object.key, whyOf(object)])
  if (rows.length > 0)
    migration.console.table('Flux does not get ready (and is not waited for)', ['object', 'why'], rows)
  return rows.map((row) => row.join(': '))
}

function whyOf(object: FluxObject): string {
  return object.ready === 'True' ? 'no controller has looked at it since it was resumed' : object.message
}

function named(objects: readonly FluxObject[]): string {
  const [first] = objects
  if (!first) return ''
  const more = objects.length > 1 ? ` and ${objects.length - 1} more` : ''
  return `; ${first.key}: ${whyOf(first)}${more}`
}

function requestTo(object: FluxObject, now: Date): Request {
  const { key, path, requestedAt } = object
  return { key, path, annotation: requestAnnotation, value: now.toISOString(), before: requestedAt }
}

/**
 * How long each object has been in a state that no controller is changing. What has just been un-suspended is
 * asked to reconcile at once; what failed then (the network was not up yet) is asked once more, and what goes on failing is
 * given up and named.
 */
class Patience {
  readonly #clock: Clock
  readonly #end: number
  readonly #idleSince = new Map<string, number>()
  readonly #asked = new Map<string, number>()

  constructor(clock: Clock, withinSeconds: number) {
    this.#clock = clock
    this.#end = clock.elapsed() + withinSeconds * 1000
  }

  /** Each at once, unless its controller is at it; and once more when that was in vain. */
  toBeAsked(waiting: readonly FluxObject[]): FluxObject[] {
    const due = waiting.filter((object) => {
      const asked = this.#asked.get(object.key) ?? 0
      if (object.ready === 'Unknown' || asked > 1) return false
      return asked === 0 || this.#idleSeconds(object) >= askAgainAfterSeconds
    })
    for (const { key } of due) this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1)
    return due
  }

  isExhausted(object: FluxObject): boolean {
    if (this.#clock.elapsed() >= this.#end) return true
    const limit = object.ready === 'False' ? unreachableAfterSeconds : silentAfterSeconds
    return this.#idleSeconds(object) >= limit
  }

  /** Seconds since it was first seen in need of a controller's attention, without getting it. */
  #idleSeconds(object: FluxObject): number {
    const now = this.#clock.elapsed()
    if (object.ready === 'Unknown') {
      this.#idleSince.delete(object.key)
      return 0
    }
    const since = this.#idleSince.get(object.key) ?? now
    this.#idleSince.set(object.key, since)
    return (now - since) / 1000
  }
}
