import { readFinalSet } from '../backup/final-set.ts'
import { withMemoryFolder } from '../migration/memory-folder.ts'
import type { Migration } from '../migration/migration.ts'
import { verifyRecovered } from '../talos/bootstrap.ts'
import { kubeSystemUid } from '../talos/control-plane.ts'
import { type CheckedSnapshot, checkSnapshot, chooseSnapshot, recoverEtcd } from '../talos/recovery.ts'
import type { Recovery } from './recovery.ts'

/**
 * Recovery from the last etcd snapshot: every object comes back as it was, with its UID.
 * @throws OperatorError when this run has no snapshot and none is named
 */
export async function fromSnapshot(migration: Migration): Promise<Recovery> {
  const { settings, console } = migration
  const source = await chooseSnapshot(migration, (folder) => readFinalSet(migration, folder))
  let checked: CheckedSnapshot
  return {
    check: async (config) => {
      checked = await migration.step(`Check the snapshot ${source.origin} against ${config.origin}`, () =>
        withMemoryFolder(settings, (folder) => checkSnapshot(migration, source, config, folder)),
      )
    },
    startEtcd: (talosctl, address, runs) =>
      migration.step('Recover etcd from the snapshot', () =>
        withMemoryFolder(settings, (folder) => recoverEtcd(migration, talosctl, address, source, folder, runs)),
      ),
    verifyCluster: async (api, address) => verifyRecovered(address, checked.kubeSystemUid, await kubeSystemUid(api)),
    complete: async () => {
      console.info(`The cluster runs on the new machine, with all that it had at revision ${checked.revision}.`)
      console.warn(
        'Revisions went back to the snapshot. What kept running elsewhere (workers, other machines) may hold a stale watch: restart the kubelets of workers, and operators that run outside.',
      )
    },
  }
}
