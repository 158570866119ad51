import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { backupFact } from './begin.ts'
import { describeUnreadable, nameOfUnreadable, type UnreadableResource, unreadableResource } from './manifest.ts'

/** The fact `backup-lacks`: a backup that was judged, and what is missing from it without an excuse. */
const lacksFact = z.object({ folder: z.string(), unreadable: z.array(unreadableResource) })

/**
 * Marks what the operator has said may be missing from a backup.
 * @param excuses BACKUP_EXCUSE: RESOURCE.GROUP, RESOURCE of the core group, *.GROUP, each also as RESOURCE.VERSION.GROUP;
 *   machineconfig.talos/NODE is the machine config of one node
 */
export function withExcuses(
  unreadable: readonly UnreadableResource[],
  excuses: readonly string[],
): UnreadableResource[] {
  return unreadable.map(({ excused: _, ...missing }) =>
    spellings(missing).some((spelling) => excuses.includes(spelling)) ? { ...missing, excused: true } : missing,
  )
}

/** The excuses that nothing missing is meant by: misspelt, or not needed any more. */
export function idleExcuses(unreadable: readonly UnreadableResource[], excuses: readonly string[]): string[] {
  const needed = new Set(unreadable.flatMap(spellings))
  return excuses.filter((excuse) => !needed.has(excuse))
}

/**
 * The last word about a backup that is whole: is something missing from it that nobody has excused? Looks at BACKUP_EXCUSE as it is now,
 * not as it was when the manifest was sealed.
 * @throws OperatorError that names all that is missing, and what to type to go on without it
 */
export async function judgeMissing(
  migration: Migration,
  folder: string | undefined,
  unreadable: readonly UnreadableResource[],
): Promise<void> {
  const { console, settings } = migration
  const judged = withExcuses(unreadable, settings.backupExcuse)
  const idle = idleExcuses(unreadable, settings.backupExcuse)
  if (idle.length > 0 && folder !== undefined) {
    console.info(`BACKUP_EXCUSE has what is not missing: ${idle.join(', ')}. It can go.`)
  }
  for (const line of describeUnreadable(judged.filter(({ excused }) => excused))) console.warn(line)
  const lacking = judged.filter(({ excused }) => !excused)
  if (folder === undefined) return
  migration.remember('backup-lacks', { folder, unreadable: lacking })
  if (lacking.length > 0) throw incomplete(folder, lacking, settings.backupExcuse)
}

/**
 * A backup that lacks something is gone on with only if that has been excused since. Whoever types the same command again without an
 * excuse has mended what was wrong, and wants it in the backup: then the phase begins anew.
 */
export function beginAnewUnlessExcused(migration: Migration): void {
  const lacks = migration.recall('backup-lacks', lacksFact)
  if (lacks === undefined || lacks.folder !== migration.recall('backup', backupFact)?.folder) return
  // Nothing of this attempt is done yet: it is a new backup already.
  if (!migration.journal.doneStep(migration.phase, provenStep)) return
  if (withExcuses(lacks.unreadable, migration.settings.backupExcuse).every(({ excused }) => excused)) return
  migration.console.info(`${lacks.folder} lacks something that is not excused: a new backup is taken.`)
  migration.journal.append({ type: 'phase', phase: migration.phase, state: 'begin' })
}

/** The step after which a backup is known to be whole. */
export const provenStep = 'Read the backup back'

function incomplete(folder: string, lacking: readonly UnreadableResource[], excuses: readonly string[]): OperatorError {
  const lines = describeUnreadable(lacking).map((line) => `  ${line}`)
  const all = [...new Set([...excuses, ...lacking.map(nameOfUnreadable)])].join(',')
  return new OperatorError(`The backup is not complete:\n${lines.join('\n')}`, {
    means: `${folder} is whole, sealed and can be recovered from; what is named above is not in it.`,
    next:
      `Mend it, and the same command again takes a new backup. If it may be missing: task migrate:backup BACKUP_EXCUSE='${all}'` +
      ' (within the hour that reads nothing anew).',
  })
}

/** All that an excuse for it may be written as. Source of RESOURCE.VERSION.GROUP: kubectl, `kubectl get --help`. */
function spellings({ group, version, resource, name }: UnreadableResource): string[] {
  const resources = resource === '*' || group === '' ? [resource] : [resource, '*']
  const kinds = resources.flatMap((kind) =>
    group === '' ? [kind, `${kind}.${version}`] : [`${kind}.${group}`, `${kind}.${version}.${group}`],
  )
  return name === undefined ? kinds : [...kinds, `${resource}.${group}/${name}`]
}
