import pMap from 'p-map'
import * as z from 'zod'
import type { Migration, Undone } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import type { KubernetesApi } from './api.ts'
import { type CronJob, fullName } from './kinds.ts'
import { Storage } from './mounts.ts'

export const cronJobUndoKind = 'cronjob-suspend'

/** What the journal holds of a CronJob: where it is, and what `spec.suspend` was. */
const cronJobUndoSchema = z.object({
  kind: z.literal(cronJobUndoKind),
  path: z.string(),
  suspend: z.union([z.literal(false), z.null()]),
})

const concurrency = 8
type Which = Pick<Settings, 'statefulNamespaces' | 'localStorageClasses' | 'nfsStorageClasses'>

/**
 * CronJobs that would start pods beside the quieted workloads: those of the stateful namespaces, and those that mount
 * claims.
 */
export async function findCronJobs(api: KubernetesApi, settings: Which): Promise<CronJob[]> {
  const [cronJobs, storage] = await Promise.all([
    api.list<CronJob>('/apis/batch/v1/cronjobs'),
    Storage.read(api, settings),
  ])
  return cronJobs.filter(({ metadata, spec }) => {
    const { namespace = '' } = metadata
    const mounts = storage.mountsOfTemplate(namespace, spec.jobTemplate?.spec?.template?.spec)
    const concerned = settings.statefulNamespaces.includes(namespace) || mounts.length > 0
    return concerned && spec.suspend !== true
  })
}

/** Suspends CronJobs. A Job that runs at this moment is not stopped by it. */
export async function suspendCronJobs(
  migration: Migration,
  api: KubernetesApi,
  cronJobs: readonly CronJob[],
): Promise<string[]> {
  await pMap(cronJobs, (cronJob) => suspendOne(migration, api, cronJob), { concurrency })
  return cronJobs.map((cronJob) => fullName(cronJob))
}

/** Puts `spec.suspend` of one CronJob back as it was. */
export async function undoCronJobSuspend(api: KubernetesApi, undo: unknown): Promise<Undone> {
  const { path, suspend } = cronJobUndoSchema.parse(undo)
  const object = await api.getOrNull<CronJob>(path)
  if (!object) return 'conflict: it is not there any more'
  if (object.spec.suspend !== true) return 'already'
  await api.mergePatch(path, { spec: { suspend } })
  return 'undone'
}

/**
 * Resumes the CronJobs that we suspended. A schedule missed meanwhile starts at once if its startingDeadlineSeconds
 * allows it.
 */
export async function resumeCronJobs(migration: Migration, api: KubernetesApi): Promise<void> {
  const changes = migration.journal.changes({ kind: cronJobUndoKind }).filter((change) => change.state !== 'undone')
  await pMap(changes, (change) => migration.undo(change, () => undoCronJobSuspend(api, change.undo)), { concurrency })
}

async function suspendOne(migration: Migration, api: KubernetesApi, cronJob: CronJob): Promise<void> {
  const path = `/apis/batch/v1/namespaces/${cronJob.metadata.namespace}/cronjobs/${cronJob.metadata.name}`
  // suspend is never true here: those are not found in the first place.
  const suspend = cronJob.spec.suspend === undefined ? null : false
  await migration.change(`Suspend CronJob ${fullName(cronJob)}`, {
    undo: { kind: cronJobUndoKind, path, suspend },
    apply: async () => {
      await api.mergePatch(path, { spec: { suspend: true } })
    },
  })
}
