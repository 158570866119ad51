import * as z from 'zod'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath } from '../kubernetes/served.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration, Probe } from '../migration/migration.ts'
import { findVelero, type Velero } from './velero-installation.ts'
import { coverageOf, type VeleroCoverage } from './velero-volumes.ts'

/** velero.json: what Velero is going to save, said before it begins. */
export type VeleroOutlook = {
  namespace: string
  location: string | null
  allVolumesByDefault: boolean
  volumes: VeleroCoverage[]
}

/** The fact `velero-backup`: the Backup that this run made last, and whether it has seen the end of it. */
const backupFact = z.object({ namespace: z.string(), name: z.string(), seen: z.boolean() })

/** Source: https://velero.io/docs/main/api-types/backup/ , status */
interface VeleroBackup extends KubernetesObject {
  status?: {
    phase?: string
    progress?: { totalItems?: number; itemsBackedUp?: number }
    errors?: number
    warnings?: number
    failureReason?: string
    validationErrors?: string[]
    backupItemOperationsAttempted?: number
    backupItemOperationsCompleted?: number
  }
}

const badEnds = ['PartiallyFailed', 'Failed', 'FailedValidation', 'Deleting']

/**
 * Says which volumes Velero will not have, and what is wrong with it before it begins; one sentence where it is not there.
 * @returns what goes into the backup; null where Velero is not used
 */
export async function lookAtVelero(migration: Migration, api: KubernetesApi): Promise<VeleroOutlook | null> {
  const { console, settings } = migration
  if (settings.velero === 'off') {
    console.info('Velero is not used: VELERO=off.')
    return null
  }
  const velero = await findVelero(api)
  if (velero === null) {
    console.info('Velero is not installed: no data of volumes is saved by this backup.')
    return null
  }
  const unfit = whyUnfit(velero)
  if (unfit) console.warn(`Velero will not be able to back anything up: ${unfit}.`)
  const volumes = await coverageOf(api, velero)
  const without = volumes.filter(({ by }) => by === null)
  console.info(`Velero will have the data of ${volumes.length - without.length} of ${volumes.length} claims.`)
  const rows = without.map(({ claim, reason }) => [claim, reason])
  if (rows.length > 0) console.table(`Volumes that Velero will NOT have: ${rows.length}`, ['claim', 'why'], rows)
  const { namespace, location, allVolumesByDefault } = velero
  return { namespace, location: location?.name ?? null, allVolumesByDefault, volumes }
}

/**
 * Has Velero back up all namespaces by the defaults of its installation, and waits for the end of it. A Backup of this run that is under
 * way is waited for; one that ended badly is left as it is, and another one made beside it.
 * @param archive the name of our own backup, from which that of Velero's is made
 * @throws OperatorError when it ends otherwise than Completed, or cannot begin: our own backup is whole by then
 */
export async function backUpWithVelero(migration: Migration, api: KubernetesApi, archive: string): Promise<void> {
  if (migration.settings.velero === 'off') return
  const velero = await findVelero(api)
  if (velero === null) return
  const path = (name: string) => `${collectionPath(velero.backups, velero.namespace)}/${name}`
  const read = (name: string) => api.getOrNull<VeleroBackup>(path(name))
  const name = (await underWay(migration, velero, read)) ?? (await freeName(nameFrom(archive), read))
  const title = `${velero.namespace}/${name}`
  if ((await read(name)) === null) {
    const unfit = whyUnfit(velero)
    if (unfit) throw cannotBegin(unfit)
    await create(migration, api, velero, name)
  }
  const ended = await migration.wait({
    name: `Velero has finished its Backup ${title}`,
    timeoutSeconds: migration.settings.veleroTimeout,
    everyMs: 1000,
    hint: `velero backup describe ${name} --namespace ${velero.namespace} --details; the same command again goes on waiting. ${goOnWithout}`,
    probe: async () => progressOf(await read(name), title, migration.dryRun),
  })
  if (!ended) return
  if (!migration.dryRun) migration.remember('velero-backup', { namespace: velero.namespace, name, seen: true })
  judge(migration, ended, velero, name)
}

const goOnWithout = 'To go on without Velero: task migrate:backup VELERO=off'

function whyUnfit({ location, server, serverIsUp, namespace }: Velero): string | undefined {
  if (!serverIsUp) return `Deployment ${namespace}/${server} has no pod that is available`
  if (!location) return `there is no default BackupStorageLocation in ${namespace}`
  if (location.readOnly) return `BackupStorageLocation ${location.name} is read-only`
  return location.available ? undefined : `BackupStorageLocation ${location.name} is Unavailable (${location.message})`
}

function cannotBegin(unfit: string): OperatorError {
  return new OperatorError(`Velero cannot back anything up: ${unfit}.`, {
    means: 'Our own backup is whole; the data of volumes is in no backup of today.',
    next: `Mend it, then the same command again. ${goOnWithout}`,
  })
}

/** The one that this run made and was stopped before the end of, unless it has ended badly meanwhile. */
async function underWay(
  migration: Migration,
  { namespace }: Velero,
  read: (name: string) => Promise<VeleroBackup | null>,
): Promise<string | undefined> {
  const made = migration.recall('velero-backup', backupFact)
  if (made?.namespace !== namespace || made.seen) return undefined
  const backup = await read(made.name)
  return backup === null || hasEndedBadly(backup) ? undefined : made.name
}

/** The first of NAME, NAME-2, NAME-3 … that is not there, or that has not ended badly. */
async function freeName(base: string, read: (name: string) => Promise<VeleroBackup | null>): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const name = attempt === 1 ? base : `${base}-${attempt}`
    const backup = await read(name)
    if (backup === null || !hasEndedBadly(backup)) return name
  }
}

/** Our names have capitals in their time; a Kubernetes name may not. Source: RFC 1123 */
function nameFrom(archive: string): string {
  return archive.toLowerCase().replaceAll(/[^a-z0-9.-]/g, '-')
}

async function create(migration: Migration, api: KubernetesApi, velero: Velero, name: string): Promise<void> {
  const { namespace, backups, location } = velero
  if (!migration.dryRun) migration.remember('velero-backup', { namespace, name, seen: false })
  await migration.change(`Make Velero's Backup ${namespace}/${name} of all namespaces`, {
    apply: async () => {
      const backup = {
        apiVersion: `${backups.group}/${backups.version}`,
        kind: backups.kind,
        metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'talos-migrate' } },
        spec: { includedNamespaces: ['*'], storageLocation: location?.name },
      }
      try {
        await api.create(collectionPath(backups, namespace), backup)
      } catch (error) {
        // Killed between the server's answer and the journal: it is there already.
        if (!(error instanceof ApiError && error.status === 409)) throw error
      }
    },
  })
}

const hasEndedBadly = ({ status }: VeleroBackup) => badEnds.includes(status?.phase ?? '')
const hasEnded = (backup: VeleroBackup) => backup.status?.phase === 'Completed' || hasEndedBadly(backup)

function progressOf(backup: VeleroBackup | null, title: string, dryRun: boolean): Probe<VeleroBackup> {
  if (backup === null && dryRun) return { met: false, saw: 'it is not made yet' }
  if (backup === null) {
    throw new OperatorError(`Velero's Backup ${title} was deleted while it was waited for.`, {
      means: 'Our own backup is whole.',
      next: `The same command again makes another one. ${goOnWithout}`,
    })
  }
  if (hasEnded(backup)) return { met: true, value: backup }
  const { phase, progress, backupItemOperationsAttempted: uploads = 0, ...status } = backup.status ?? {}
  const parts = [
    phase ?? 'Velero has not looked at it yet',
    ...(progress?.totalItems ? [`${progress.itemsBackedUp ?? 0} of ${progress.totalItems} items`] : []),
    ...(uploads > 0 ? [`${status.backupItemOperationsCompleted ?? 0} of ${uploads} uploads`] : []),
  ]
  return { met: false, saw: parts.join(', ') }
}

function judge({ console }: Migration, { status }: VeleroBackup, { namespace }: Velero, name: string): void {
  const { phase = '', progress, errors = 0, warnings = 0, failureReason, validationErrors = [] } = status ?? {}
  const look = `velero backup logs ${name} --namespace ${namespace}`
  const items = `${progress?.itemsBackedUp ?? 0} items, ${errors} errors, ${warnings} warnings`
  if (phase === 'Completed') {
    console.info(`Velero's Backup ${namespace}/${name} is complete: ${items}.`)
    if (warnings > 0) console.warn(`Velero gave ${warnings} warnings: ${look}`)
    return
  }
  const reasons = [...validationErrors, ...(failureReason ? [failureReason] : [])]
  throw new OperatorError(
    `Velero's Backup ${namespace}/${name} ended as ${phase} (${items})${reasons.length > 0 ? `: ${reasons.join('; ')}` : '.'}`,
    {
      means:
        phase === 'PartiallyFailed'
          ? 'Our own backup is whole; some of what Velero should have saved, volumes for the most part, is not in its Backup.'
          : 'Our own backup is whole; Velero has saved nothing that could be relied upon.',
      next: `Look at why: ${look}; mend it, and the same command again makes another one. ${goOnWithout}`,
    },
  )
}
