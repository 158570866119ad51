import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import type { Settings } from '../../settings.ts'
import type { KubernetesApi } from '../api.ts'
import { readVolumes, type VolumeOutlook } from '../volumes.ts'
import { evacuatedInPhase, placeOfCopies } from './ledger.ts'
import { evacuationTarget } from './target.ts'

/** Volumes whose data goes with the machine, or may, while nobody has accepted that. */
export function undecided(volumes: readonly VolumeOutlook[]): VolumeOutlook[] {
  return volumes.filter(({ fate, acceptedBy }) => (fate === 'lost' || fate === 'unknown') && acceptedBy === null)
}

/** Those of them that nobody is going to copy either. @param copying whether there is a class to copy local volumes to */
export function withoutWayOut(volumes: readonly VolumeOutlook[], copying: boolean): VolumeOutlook[] {
  return undecided(volumes).filter(({ fate }) => fate === 'unknown' || !copying)
}

/**
 * Before anything is changed: volumes that are local are in order when they are going to be copied; all others have to be
 * preserved or accepted.
 * @throws OperatorError naming each that is neither, or when they cannot be copied where EVACUATE_TO and EVACUATE_NODE say
 */
export async function refuseUndecided(migration: Migration, api: KubernetesApi): Promise<void> {
  const { settings, journal } = migration
  const copying = settings.evacuateTo !== undefined || placeOfCopies(journal) !== undefined
  if (copying) await evacuationTarget(api, settings, placeOfCopies(journal))
  const open = withoutWayOut(await readVolumes(api, settings), copying)
  if (open.length > 0) throw wouldBeLost(open, settings, 'Nothing was changed.')
}

/**
 * Before the node is emptied, and with it the way to its volumes closed. In a dry run nothing was copied, so that is not asked.
 * @throws OperatorError naming each volume that is neither preserved, nor evacuated, nor accepted
 */
export async function refuseLoss(migration: Migration, api: KubernetesApi): Promise<void> {
  if (migration.dryRun) return
  const { settings } = migration
  const open = undecided(await readVolumes(api, settings, evacuatedInPhase(migration)))
  if (open.length > 0) {
    throw wouldBeLost(
      open,
      settings,
      'The cluster is quiet, and no pod was evicted. To wake it again: task migrate:resume',
    )
  }
}

/** What has to be set so that these volumes may be lost, what was accepted before included. */
export function acceptance(volumes: readonly VolumeOutlook[], settings: Pick<Settings, 'acceptDataLoss'>): string {
  return `ACCEPT_DATA_LOSS=${[...settings.acceptDataLoss, ...volumes.map(({ claim }) => claim)].join(',')}`
}

function wouldBeLost(volumes: readonly VolumeOutlook[], settings: Settings, means: string): OperatorError {
  const lines = volumes.map(({ claim, size, storageClass, usedBy, fate }) => {
    const unknown = fate === 'unknown' ? ', in neither LOCAL_STORAGE_CLASSES nor NFS_STORAGE_CLASSES' : ''
    return `  ${claim} (${size}, ${storageClass || 'no class'}${unknown}; ${usedBy.join(', ') || 'used by nobody'})`
  })
  const count = volumes.length === 1 ? '1 volume is' : `${volumes.length} volumes are`
  const to = settings.evacuateTo ?? settings.nfsStorageClasses[0] ?? 'CLASS'
  return new OperatorError(`${count} neither preserved, nor evacuated, nor accepted as lost:\n${lines.join('\n')}`, {
    means: `Their data goes with the disk of ${settings.nodeName}. ${means}`,
    next: `Copy them: task migrate:evacuate EVACUATE_TO=${to}; with that set, migrate:drain does it by itself once they are quiet. Or accept the loss: ${acceptance(volumes, settings)}`,
  })
}
