import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import { type ArgoObject, isAutomatic, readArgoCd, refreshAnnotation, servedArgoKinds } from './argocd.ts'
import { Progress } from './progress.ts'
import { requestReconcile, takeRequestsBack } from './request.ts'
import { argoUndoKind, undoArgoSync, unsyncedBefore } from './suspend-argocd.ts'

const stuckAfterSeconds = 60

/** Gives every Application and ApplicationSet its sync policy back, children before those who write them. */
export async function resumeArgoCd(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal.changes({ kind: argoUndoKind }).filter((change) => change.state !== 'undone')
  const takeBack = migration.flags['take-back'] === true
  for (const change of changes.reverse()) await migration.undo(change, () => undoArgoSync(api, change.undo, takeBack))
}

/**
 * Waits until every Application with automated sync is synced, apart from those that were not before the drain. One
 * whose state does not change any more (its repository cannot be reached) is named and not waited for.
 * @param later keys of those that cannot be synced before a later phase
 */
export async function argoCdIsSynced(
  migration: Migration,
  api: KubernetesApi,
  later: ReadonlySet<string> = new Set(),
): Promise<string[]> {
  const since = new Map<string, { state: string; at: number }>()
  const isStuck = (object: ArgoObject): boolean => {
    const now = migration.clock.elapsed()
    const state = `${object.sync} ${object.health} ${object.message}`
    const seen = since.get(object.key)
    if (seen?.state !== state) since.set(object.key, { state, at: now })
    return seen?.state === state && !object.syncing && now - seen.at >= stuckAfterSeconds * 1000
  }
  const passedOver = new Set([...(unsyncedBefore(migration) ?? []), ...later])
  const waitedFor = async () =>
    (await readArgoCd(api, await servedArgoKinds(api))).filter(
      (object) => object.kind === 'Application' && isAutomatic(object) && !passedOver.has(object.key),
    )
  const progress = new Progress(migration.console, 'synced')
  for (const { key, path, refresh } of await waitedFor()) {
    const request = { key, path, annotation: refreshAnnotation, value: 'normal', before: refresh }
    await requestReconcile(migration, api, request)
  }
  const stuck = await migration.wait({
    name: 'Argo CD has synced',
    timeoutSeconds: migration.settings.convergeTimeout,
    everyMs: 2000,
    hint: 'Look at what the Applications say: kubectl get applications.argoproj.io -A',
    probe: async () => {
      const objects = await waitedFor()
      const waiting = objects.filter((object) => object.sync !== 'Synced')
      progress.look(
        waiting.map(({ key }) => key),
        objects.map(({ key }) => key),
      )
      const pending = waiting.filter((object) => !isStuck(object))
      const first = waiting[0]
      const saw = `${objects.length - waiting.length} of ${objects.length} synced${first ? `; ${first.key} is ${first.sync}` : ''}`
      return pending.length === 0 ? { met: true, value: waiting, saw } : { met: false, saw }
    },
  })
  await takeRequestsBack(migration, api)
  const named = (stuck ?? []).map(
    (object) => `${object.key} is ${object.sync}${object.message ? `: ${object.message}` : ''}`,
  )
  for (const line of named) migration.console.warn(line)
  return named
}
