import type { Migration } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { evacuationLabel } from './evacuation/job.ts'
import { fullName, type Job } from './kinds.ts'
import { Storage } from './mounts.ts'

/**
 * Waits until the Jobs are done that run beside the quieted workloads: those of the stateful namespaces, and those that
 * mount claims. Half a backup is no backup; but after JOB_TIMEOUT, and where a Job has no pod that is ready, they are
 * named and not waited for: a drain evicts them, and their Jobs begin anew afterwards.
 * @returns the Jobs that were left running
 */
export async function jobsAreDone(migration: Migration, api: KubernetesApi): Promise<string[]> {
  const { settings, clock, console } = migration
  const storage = await Storage.read(api, settings)
  const end = clock.elapsed() + settings.jobTimeout * 1000
  const left = await migration.wait({
    name: 'the Jobs that run are done',
    // The end below comes first, and keeps the names.
    timeoutSeconds: settings.jobTimeout * 2,
    everyMs: 1000,
    probe: async () => {
      const jobs = await runningJobs(api, storage, settings.statefulNamespaces)
      const working = jobs.filter(({ status }) => (status?.ready ?? status?.active ?? 0) > 0)
      if (working.length === 0 || clock.elapsed() >= end) return { met: true, value: jobs }
      return { met: false, saw: `${working.map((job) => fullName(job)).join(', ')} still running` }
    },
  })
  const names = (left ?? []).map((job) => fullName(job))
  for (const name of names) {
    console.warn(`Job ${name} is still running: the drain evicts its pods, and it begins anew afterwards.`)
  }
  return names
}

async function runningJobs(api: KubernetesApi, storage: Storage, namespaces: readonly string[]): Promise<Job[]> {
  const jobs = await api.list<Job>('/apis/batch/v1/jobs')
  return jobs.filter(({ metadata, spec, status }) => {
    const { namespace = '' } = metadata
    const ended = status?.conditions?.some((each) => /Complete|Failed/.test(each.type) && each.status === 'True')
    // Those of a copy that a kill has interrupted are looked after where volumes are copied.
    const isOurs = metadata.labels?.[evacuationLabel] !== undefined
    if (ended || isOurs || spec.suspend === true || (status?.active ?? 0) === 0) return false
    return namespaces.includes(namespace) || storage.mountsOfTemplate(namespace, spec.template.spec).length > 0
  })
}
