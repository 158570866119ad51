import type { BackedUpObjects } from '../backup/restore/source.ts'
import { type RestoreSummary, restoreObjects, showSummary } from '../backup/restore.ts'
import { controllersRun, rootsAreApplied } from '../gitops/takeover.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { bringBack } from '../kubernetes/evacuation/evacuate.ts'
import { rebuiltCluster, rememberRebuilt } from '../kubernetes/rebuilt.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { tornDownPeering } from '../network/liqo/record.ts'
import { verifyNew } from '../talos/bootstrap.ts'
import { kubeSystemUid } from '../talos/control-plane.ts'
import { beginEtcd } from '../talos/recovery.ts'
import { chooseBackup, type OpenBackup, openBackup, refuseUnlessOff } from './choose-backup.ts'
import { type Decision, decide } from './decision.ts'
import { objectsOfBackup } from './objects.ts'
import type { Recovery } from './recovery.ts'
import { showLosses, showRestored } from './show.ts'

/**
 * Recovery with a new etcd: what Git does not hold comes back from the backup, then Flux and Argo CD themselves, and the rest out of
 * Git. The second way, for when no snapshot can be had.
 * @throws OperatorError when this run has no backup and none is named, or the restore list is not right
 */
export async function fromGit(migration: Migration): Promise<Recovery> {
  refuseUnlessOff(migration)
  const folder = chooseBackup(migration)
  const backup = await openBackup(migration, folder)
  const all = await backup.select(new Set())
  const decision = await decide(migration.settings, objectsOfBackup(all), tornDownPeering(migration)?.there)
  return {
    check: () =>
      migration.step(`Work out what Git does not hold, from ${folder}`, () => announce(migration, all, decision)),
    startEtcd: (talosctl, address, runs) =>
      migration.step('Begin a new etcd', async () => {
        await runs()
        await beginEtcd(migration, talosctl, address)
      }),
    verifyCluster: async (api, address) => {
      const found = (await kubeSystemUid(api)) ?? ''
      verifyNew(address, all.manifest.identity.kubeSystemUid, rebuiltCluster(migration), found)
      if (rebuiltCluster(migration) === undefined) rememberRebuilt(migration, found)
    },
    complete: (api) => rebuild(migration, api, backup, decision),
  }
}

/**
 * Checks, while there is a way back, that the cluster can be rebuilt: the backup opens, and the list fits it.
 * @throws OperatorError when not
 */
export async function checkRebuild(migration: Migration): Promise<void> {
  const folder = chooseBackup(migration)
  const backup = await (await openBackup(migration, folder)).select(new Set())
  const decision = await decide(migration.settings, objectsOfBackup(backup), tornDownPeering(migration)?.there)
  warnOfUnread(migration, backup)
  showLosses(migration, decision)
  const count = decision.before.size + decision.engine.size
  migration.console.info(`${count} objects will be restored from ${folder}, and the rest comes out of Git.`)
}

async function announce(migration: Migration, backup: BackedUpObjects, decision: Decision): Promise<void> {
  const { console } = migration
  warnOfUnread(migration, backup)
  const peering = tornDownPeering(migration)
  if (peering) console.info(`Not restored: the peering with ${peering.there}, which migrate:repeer makes anew.`)
  showRestored(migration, decision)
  showLosses(migration, decision)
  console.info(decision.listed ? `As ${decision.listed} says.` : 'There is no list that a person has edited.')
  if (decision.engine.size === 0) {
    console.warn('The list holds nothing of Flux or Argo CD: bootstrap them by hand when provision is done.')
  }
  // By kind and name, as the checks of verify call them.
  const lost = decision.losses.map(
    ({ what, kind, called }) => `${what} ${kind} ${called.slice(called.indexOf(' ') + 1)}`,
  )
  migration.remember('announced-losses', lost)
}

function warnOfUnread({ console }: Migration, { manifest }: BackedUpObjects): void {
  for (const entry of manifest.unreadable) {
    const resource = entry.group === '' ? entry.resource : `${entry.resource}.${entry.group}`
    console.warn(`The backup has no ${resource}: what Git lacks of it is lost. (${entry.reason})`)
  }
}

async function rebuild(
  migration: Migration,
  api: KubernetesApi,
  backup: OpenBackup,
  decision: Decision,
): Promise<void> {
  const { console } = migration
  const first = await migration.step('Restore what Git does not hold', () =>
    restore(migration, api, backup, decision.before),
  )
  // Before Flux and Argo CD start what would write into the empty volumes.
  await migration.step('Bring evacuated volumes back', () => bringBack(migration, api))
  const engine = await migration.step('Restore Flux and Argo CD themselves', async () => {
    const summary = await restore(migration, api, backup, decision.engine)
    refuseRefused(summary)
    return summary
  })
  if (engine.resources.length > 0) {
    await migration.step('Wait until GitOps has taken over', () => gitOpsTakesOver(migration, api, decision))
  }
  if (first.refused.length > 0) {
    await migration.step('Restore what needed GitOps first', () => restoreRest(migration, api, backup, decision))
  }
  console.info('A new cluster runs on the new machine: what Git lacks is restored, and Git brings the rest.')
  console.warn(
    'Workers and other machines know the old cluster: restart their kubelets, and operators that run outside.',
  )
}

async function restore(
  migration: Migration,
  api: KubernetesApi,
  backup: OpenBackup,
  names: ReadonlySet<string>,
): Promise<RestoreSummary> {
  const source = await backup.select(names)
  // What is there already comes from Talos, or of a restore that was killed: wanted is what was in the old cluster.
  const summary = await restoreObjects(migration, api, source, { conflict: 'update' })
  showSummary(migration, summary)
  return summary
}

async function gitOpsTakesOver(migration: Migration, api: KubernetesApi, decision: Decision): Promise<void> {
  const { convergeTimeout } = migration.settings
  const controllers = decision.rebuild.controllers.filter(({ resource, namespace, name }) =>
    decision.engine.has(`${resource} ${namespace}/${name}`),
  )
  if (controllers.length > 0) await migration.wait(controllersRun(api, controllers, convergeTimeout))
  const kind = 'kustomizations.kustomize.toolkit.fluxcd.io '
  const roots = [...decision.engine].filter((name) => name.startsWith(kind))
  const keys = new Set(roots.map((name) => `Kustomization ${name.slice(kind.length)}`))
  if (keys.size > 0) await migration.wait(rootsAreApplied(api, keys, convergeTimeout))
}

/** What the API did not take before, for its webhook or its definition comes out of Git. */
async function restoreRest(migration: Migration, api: KubernetesApi, backup: OpenBackup, { before }: Decision) {
  await migration.wait({
    name: 'what was refused before is restored',
    timeoutSeconds: migration.settings.apiTimeout,
    everyMs: 5000,
    hint: 'The objects are named above, each with what to do; then the same command again.',
    probe: async () => {
      const { refused } = await restore(migration, api, backup, before)
      if (refused.length === 0) return { met: true, value: true }
      return { met: false, saw: refused.map(({ object, reason }) => `${object}: ${reason}`).join('; ') }
    },
  })
}

function refuseRefused({ refused }: RestoreSummary): void {
  if (refused.length === 0) return
  throw new OperatorError(`${refused.length} objects of Flux or Argo CD were refused; the others are done.`, {
    means: refused.map(({ object, reason }) => `${object}: ${reason}`).join('; '),
    next: 'Mend it; then the same command again: what is restored is passed over.',
  })
}
