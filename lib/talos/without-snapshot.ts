import { messageOf, OperatorError, RemoteError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'

/**
 * Does what a recovery from a snapshot cannot do without. A rebuild from Git can, and is chosen because etcd is not well: there it is a
 * warning when it fails.
 * @throws whatever `work` throws, unless RECOVERY=gitops
 */
export async function unlessRebuilding<T>(migration: Migration, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const isForeseen = error instanceof OperatorError || error instanceof RemoteError
    if (migration.settings.recovery !== 'gitops' || !isForeseen) throw error
    migration.console.warn(
      `${messageOf(error)} RECOVERY=gitops goes on without: the way back to a snapshot is that of the backup.`,
    )
    return undefined
  }
}
