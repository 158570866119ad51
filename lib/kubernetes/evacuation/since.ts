import pMap from 'p-map'
import { formatBytes } from '../../migration/console/bytes.ts'
import type { Condition, Migration } from '../../migration/migration.ts'
import type { KubernetesApi } from '../api.ts'
import { ignoring } from '../api-error.ts'
import type { Job, PersistentVolume, PersistentVolumeClaim, Pod } from '../kinds.ts'
import { type Outcome, outcomeOf } from './copies.ts'
import { evacuationLabel, lookJob, lookPath, roundAnnotation } from './job.ts'
import { broughtToNewDisk, type Evacuated } from './ledger.ts'
import { affinityOf } from './pairs.ts'

/** A volume that was brought to the new machine's disk, and how its files differ from what was evacuated; null: they do not. */
export interface Standing {
  readonly claim: string
  readonly change: string | null
}

/**
 * Reads each volume that was brought to the new machine's disk, and says whether its files still hold what was evacuated: by the SHA-256 of all
 * of them, so that a program which only ran has written nothing. Each is read by a Job of its own that may only read, in use or not, at
 * most EVACUATE_PER_NODE at once. In a dry run none is begun, and all count as changed.
 * @throws OperatorError after EVACUATE_TIMEOUT
 */
export async function writtenSince(migration: Migration, api: KubernetesApi): Promise<Standing[]> {
  const { evacuatePerNode } = migration.settings
  const round = migration.clock.now().toISOString()
  return pMap(broughtToNewDisk(migration.journal), (one) => standingOf(migration, api, one, round), {
    concurrency: evacuatePerNode,
  })
}

async function standingOf(migration: Migration, api: KubernetesApi, one: Evacuated, round: string): Promise<Standing> {
  const claim = `${one.namespace}/${one.claim}`
  if (migration.dryRun) return { claim, change: 'it was brought to the new disk; without --dry-run it is compared' }
  const job = await jobFor(migration, api, one, round)
  if (job === null) return { claim, change: 'its claim or its volume is gone' }
  const outcome = await migration.wait(looked(migration, api, one, job))
  await remove(migration, api, one)
  return { claim, change: changeIn(outcome, one) }
}

function changeIn(outcome: Outcome, then: Evacuated): string | null {
  if ('failed' in outcome) return `it cannot be compared: ${outcome.failed}`
  const { files, kib, digest } = outcome.copied
  if (digest === then.digest) return null
  const told = (count: number, size: number) => `${count} files, ${formatBytes(size * 1024)}`
  return `it holds ${told(files, kib)}, and held ${told(then.files, then.kib)}`
}

async function jobFor({ settings }: Migration, api: KubernetesApi, one: Evacuated, round: string): Promise<Job | null> {
  const { namespace, claim: name } = one
  const claim = await api.getOrNull<PersistentVolumeClaim>(
    `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`,
  )
  const volume = claim && (await api.getOrNull<PersistentVolume>(`/api/v1/persistentvolumes/${claim.spec.volumeName}`))
  if (!volume) return null
  return lookJob(one, affinityOf(volume, settings.nodeName), { image: settings.evacuateImage, round })
}

/** One that an earlier call has left has read what the volume was then: it is replaced. */
function looked(migration: Migration, api: KubernetesApi, one: Evacuated, job: Job): Condition<Outcome> {
  const claim = `${one.namespace}/${one.claim}`
  const isOurs = ({ metadata }: Job) =>
    metadata.annotations?.[roundAnnotation] === job.metadata.annotations?.[roundAnnotation]
  return {
    name: `volume ${claim} is read`,
    timeoutSeconds: migration.settings.evacuateTimeout,
    hint: `Look at what its Job does: kubectl get jobs,pods -n ${one.namespace} -l ${evacuationLabel}. To go back without that: task migrate:rollback -- --accept-loss`,
    probe: async () => {
      const there = await api.getOrNull<Job>(lookPath(one))
      if (there === null) {
        const jobs = `/apis/batch/v1/namespaces/${one.namespace}/jobs`
        await migration.change(`Read volume ${claim}`, { apply: () => ignoring(409, () => api.create(jobs, job)) })
        return { met: false, saw: 'its Job is begun' }
      }
      if (!isOurs(there)) {
        if (there.metadata.deletionTimestamp === undefined) await remove(migration, api, one)
        return { met: false, saw: 'the Job of an earlier call is going' }
      }
      const selector = { labelSelector: `batch.kubernetes.io/job-name=${job.metadata.name}` }
      const pods = await api.list<Pod>(`/api/v1/namespaces/${one.namespace}/pods`, selector)
      const outcome = outcomeOf(there, pods)
      return outcome ? { met: true, value: outcome } : { met: false, saw: 'its files are read' }
    },
  }
}

async function remove(migration: Migration, api: KubernetesApi, one: Evacuated): Promise<void> {
  const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' }
  await migration.change(`Remove the Job that has read volume ${one.namespace}/${one.claim}`, {
    apply: () => ignoring(404, () => api.remove(lookPath(one), options)),
  })
}
