import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from './api.ts'
import { controllerOf } from './kinds.ts'
import { operators } from './operators/table.ts'
import {
  type ComesBackWith,
  describeOperated,
  type Operated,
  pauseOperated,
  standingOf,
  undoOperatorPause,
} from './operators.ts'
import { isFinished, listPods } from './pods.ts'
import { collectionPath, servedResources } from './served.ts'

/** How long an operator may take to say that it has begun. */
const heedSeconds = 60

/**
 * An annotation is kept by the API server whether or not the operator knows it. One that does not heed it is told by the other means of
 * its row instead, if it has one, and the first is taken back.
 * @param stopped custom resources that were told to end their pods
 * @returns those whose pods are to end; of the others the pods stay, at rest
 */
export async function takeOtherMeans(
  migration: Migration,
  api: KubernetesApi,
  stopped: readonly Operated[],
  comesBack: ComesBackWith,
): Promise<Operated[]> {
  const asked = stopped.filter(({ otherwise }) => otherwise !== undefined)
  const deaf = asked.length === 0 || migration.dryRun ? [] : await notHeeding(migration, api, asked)
  for (const each of deaf) await tellOtherwise(migration, api, each, comesBack)
  return stopped.filter((each) => !deaf.includes(each))
}

/** UIDs of custom resources that were told by other means: in the pods that they control nothing is written. */
export async function fencedOwners(api: KubernetesApi): Promise<Set<string>> {
  const uids = new Set<string>()
  for (const { group, resources, otherwise } of operators) {
    if (!otherwise) continue
    for (const resource of await servedResources(api, group, resources)) {
      const fenced = (await api.list(collectionPath(resource))).filter(
        (each) => standingOf(each, otherwise.pause).paused,
      )
      for (const { metadata } of fenced) uids.add(metadata.uid ?? '')
    }
  }
  return uids
}

async function notHeeding(migration: Migration, api: KubernetesApi, asked: readonly Operated[]): Promise<Operated[]> {
  const { settings, clock } = migration
  const seconds = Math.min(heedSeconds, settings.drainTimeout)
  const end = clock.elapsed() + seconds * 1000
  const silent = await migration.wait({
    name: 'operators heed what they were told',
    // The end above comes first, and keeps the names.
    timeoutSeconds: seconds * 2,
    everyMs: 1000,
    probe: async () => {
      const [pods, objects] = await Promise.all([
        listPods(api),
        Promise.all(asked.map(({ path }) => api.getOrNull(path))),
      ])
      const busy = new Set(pods.filter((pod) => !isFinished(pod)).map((pod) => controllerOf(pod)?.uid))
      const left = asked.filter((each, index) => busy.has(each.uid) && !saysSo(objects[index] ?? null, each))
      if (left.length === 0 || clock.elapsed() >= end) return { met: true, value: left }
      return { met: false, saw: `nothing yet of ${left.map(describeOperated).join(', ')}` }
    },
  })
  return silent ?? []
}

function saysSo(object: KubernetesObject | null, { otherwise }: Operated): boolean {
  const { conditions = [] } = (object?.status ?? {}) as { conditions?: { type: string }[] }
  return conditions.some(({ type }) => type === otherwise?.unlessCondition)
}

async function tellOtherwise(
  migration: Migration,
  api: KubernetesApi,
  operated: Operated,
  comesBack: ComesBackWith,
): Promise<void> {
  const { otherwise, path } = operated
  if (!otherwise) return
  const first = migration.journal.standingChange(`Pause ${describeOperated(operated)}`)
  if (first) await migration.undo(first, () => undoOperatorPause(api, first.undo))
  const standing = standingOf(await api.get(path), otherwise.pause)
  if (!standing.paused) await pauseOperated(migration, api, { ...operated, ...standing }, comesBack)
  migration.console.warn(
    `${describeOperated(operated)}: its operator does not know ${operated.pause.field.at(-1)}. It is told ${otherwise.pause.field.at(-1)} instead: its pods stay until the drain evicts them, and nothing in them writes.`,
  )
}
