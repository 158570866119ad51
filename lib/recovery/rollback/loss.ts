import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { backupFolder } from '../../backup/begin.ts'
import { type FinalSet, readFinalSet, writeFinalSet } from '../../backup/final-set.ts'
import { keysFor } from '../../backup/keys.ts'
import { KubernetesApi } from '../../kubernetes/api.ts'
import { evacuationLabel } from '../../kubernetes/evacuation/job.ts'
import { broughtToNewDisk } from '../../kubernetes/evacuation/ledger.ts'
import { writtenSince } from '../../kubernetes/evacuation/since.ts'
import { rebuiltCluster } from '../../kubernetes/rebuilt.ts'
import { OperatorError } from '../../migration/errors.ts'
import { withMemoryFolder } from '../../migration/memory-folder.ts'
import type { Condition, Migration } from '../../migration/migration.ts'
import type { Address } from '../../network/addresses.ts'
import { etcdService, takeSnapshot } from '../../talos/etcd.ts'
import { sameMachine } from '../../talos/identity.ts'
import { liveMachineConfig, parseMachineConfig } from '../../talos/machine-config.ts'
import { lookAtMachine, type MachineSeen } from '../../talos/maintenance.ts'
import { finalSnapshot } from '../../talos/old-machine.ts'
import { compareStoredObjects, readStoredObjects, type StoredObjects } from '../../talos/snapshot/difference.ts'
import { checkSnapshotFile, readSnapshot } from '../../talos/snapshot.ts'
import { type Talosctl, talosVersion } from '../../talos/talosctl.ts'
import { keysOfTheMove } from './own-changes.ts'
import type { WayBack } from './way-back.ts'

const patientLooks = 5

/** What would be lost by going back: lines for the operator. */
interface Loss {
  rows: [what: string, which: string][]
  /** why it cannot be told at all */
  unknown?: string
}

/**
 * Refuses to go back while that loses what the new machine's cluster was given since the final snapshot, unless that is accepted (--accept-loss). A
 * last snapshot of it is kept before, when it can be had.
 * @throws OperatorError with every object by kind and name in the table above it
 */
export async function refuseLoss(migration: Migration, talosctl: Talosctl, way: WayBack): Promise<void> {
  if (way.etcd === 'none' || !way.replacement || migration.journal.rollbackUnderWay) return
  const { rows, unknown } = await lookForLoss(migration, talosctl, way)
  if (rows.length > 0) migration.console.table('Lost by going back', ['since the final snapshot', 'what'], rows)
  if (rows.length === 0 && unknown === undefined) {
    return migration.console.info('The new machine has taken no writes that the old one does not have.')
  }
  if (unknown !== undefined) migration.console.warn(unknown)
  if (isAccepted(migration) || migration.dryRun) return
  throw new OperatorError(
    unknown === undefined
      ? `Going back would lose ${rows.length} things (above).`
      : 'What going back would lose cannot be told.',
    {
      means: 'They are on the new machine alone. Nothing was undone.',
      next: 'To go back all the same: task migrate:rollback -- --accept-loss. Or roll forward: task migrate:run',
    },
  )
}

const isAccepted = ({ flags }: Migration) => flags['accept-loss'] === true

async function lookForLoss(migration: Migration, talosctl: Talosctl, way: WayBack): Promise<Loss> {
  if (rebuiltCluster(migration) !== undefined) {
    const unknown = 'The new machine runs a new cluster, rebuilt from Git. What was written to it since goes with it.'
    return { rows: uncompared(migration), unknown }
  }
  const { address, identity } = way.replacement as NonNullable<WayBack['replacement']>
  const { seen, etcdRuns } = await migration.wait(newMachineAnswers(migration, talosctl, address))
  if (seen.state !== 'running' || !sameMachine(seen.identity, identity)) {
    const unknown = `The new machine cannot be asked (${seen.saw}): what it was given since goes with it.`
    return { rows: uncompared(migration), unknown }
  }
  if (!etcdRuns) {
    // Nothing can have been written to it, for nothing was served from it.
    if (way.etcd === 'maybe') return { rows: [] }
    return { rows: uncompared(migration), unknown: 'Its etcd does not run: what it was given since goes with it.' }
  }
  const rows = await comparedWithFinal(migration, talosctl, address, keysOfTheMove(way.goWithIt))
  return { rows: [...(await writtenToVolumes(migration)), ...rows] }
}

/** Who accepts the loss need not know whether there is one: reading every file takes its time. */
async function writtenToVolumes(migration: Migration): Promise<Loss['rows']> {
  const { length } = broughtToNewDisk(migration.journal)
  if (length === 0 || isAccepted(migration)) return uncompared(migration)
  migration.console.info(
    `${length} volumes were brought to the new disk: their files are compared with the copies' sums.`,
  )
  const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
  try {
    const standings = await writtenSince(migration, api)
    return standings.flatMap(({ claim, change }) => (change === null ? [] : [written(claim, change)]))
  } finally {
    api.close()
  }
}

function uncompared({ journal }: Migration): Loss['rows'] {
  return broughtToNewDisk(journal).map(({ namespace, claim }) => written(`${namespace}/${claim}`, 'not compared'))
}

const written = (claim: string, change: string): Loss['rows'][number] => [
  'written',
  `local volume of ${claim}: ${change}`,
]

/** Ends with whatever it is, too: a machine that is off for good is not waited for, nor an etcd that was never begun. */
function newMachineAnswers(
  { dryRun }: Migration,
  talosctl: Talosctl,
  address: Address,
): Condition<{ seen: MachineSeen; etcdRuns: boolean }> {
  const enough = dryRun ? 1 : patientLooks
  let looks = 0
  return {
    name: `the etcd of the new machine at ${address} runs, or has not for ${patientLooks} looks`,
    timeoutSeconds: 120,
    everyMs: 1000,
    probe: async () => {
      const seen = await lookAtMachine(talosctl, address)
      const etcdRuns = seen.state === 'running' && (await runs(talosctl, address))
      looks += 1
      return etcdRuns || looks >= enough
        ? { met: true, value: { seen, etcdRuns } }
        : { met: false, saw: seen.state === 'running' ? 'the machine runs, and its etcd does not' : seen.saw }
    },
  }
}

/** A machine that goes away in the middle of the question is one whose etcd cannot be asked. */
function runs(talosctl: Talosctl, address: Address): Promise<boolean> {
  return etcdService(talosctl, { address }).then(
    ({ running }) => running,
    () => false,
  )
}

async function comparedWithFinal(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  own: ReadonlySet<string>,
): Promise<Loss['rows']> {
  return withMemoryFolder(migration.settings, async (memory) => {
    const taken = await takeSnapshot(talosctl, { address }, memory)
    await checkSnapshotFile(taken.path)
    const live = await liveMachineConfig(talosctl, { address })
    const { encryption } = parseMachineConfig(live, `the config of ${address}`)
    const stored = (path: string) => readStoredObjects(path, encryption, evacuationLabel)
    const now = await stored(taken.path)
    const inSet = async (folder: string | undefined, name: string): Promise<StoredObjects> =>
      folder === undefined
        ? new Map()
        : stored(await openedIn(join(memory, name), await readFinalSet(migration, folder)))
    const before = await inSet(migration.recall('final-snapshot', finalSnapshot)?.folder, 'final')
    const earlier = await inSet(backupFolder(migration), 'backup')
    const { created, changed, deleted } = compareStoredObjects(before.size > 0 ? before : earlier, now, earlier)
    const theirs = (keys: readonly string[]) => keys.filter((key) => !own.has(key))
    const rows = [
      ...named('created', theirs(created)),
      ...named('changed', theirs(changed)),
      ...named('deleted', deleted),
    ]
    // Whatever is accepted, nothing that was written to it is gone for good.
    if (rows.length === 0 || isAccepted(migration)) await keepLastSnapshot(migration, talosctl, address, taken, live)
    return rows
  })
}

function named(what: string, keys: readonly string[]): Loss['rows'] {
  return keys.map((key) => [what, called(key)])
}

async function openedIn(folder: string, set: FinalSet): Promise<string> {
  await mkdir(folder, { mode: 0o700 })
  return set.openSnapshot(folder)
}

async function keepLastSnapshot(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  { path, hash }: { path: string; hash: string | null },
  machineConfig: Buffer,
): Promise<void> {
  const { settings, clock } = migration
  const { kubeSystemUid, revision } = await readSnapshot(path)
  const versions = {
    talos: await talosVersion(talosctl, { address }),
    talosctl: talosctl.version,
    kubernetes: settings.kubernetesVersion,
  }
  const kept = await migration.change(`Keep a last snapshot of the new machine, encrypted (revision ${revision})`, {
    apply: async () =>
      writeFinalSet(settings, await keysFor(migration, backupFolder(migration)), {
        snapshotPath: path,
        machineConfigs: { [settings.nodeName]: machineConfig },
        info: {
          identity: kubeSystemUid === null ? {} : { kubeSystemUid },
          versions,
          snapshot: { revision, ...(hash ? { hash } : {}) },
          createdAt: clock.now(),
        },
      }),
  })
  if (kept) migration.console.info(`Kept in ${kept.folder}.`)
}

/** `deployments/media/plex` → `deployments media/plex`. */
function called(key: string): string {
  const parts = key.split('/')
  const heads = parts[0]?.includes('.') || parts[0] === 'services' ? 2 : 1
  return `${parts.slice(0, heads).join('/')} ${parts.slice(heads).join('/')}`
}
