import type { Journal, JournaledChange, UndoData } from '../../migration/migration.ts'
import { type KnownMachine, knownMachine } from './known-machine.ts'
import { undoOf } from './undo-table.ts'

/** A change that can be undone. */
export type Undoable = JournaledChange & { undo: UndoData }

/** What a run has done and what of it is still to be undone, as its journal says. */
export interface WayBack {
  /** those to be undone, the newest first */
  readonly changes: readonly Undoable[]
  /** those of them that are undone already, but in the etcd of the new machine: in that of the old one they stand */
  readonly standAgain: readonly Undoable[]
  /** made in the etcd of the new machine alone: they go with it */
  readonly goWithIt: readonly Undoable[]
  /** the machine that this run has shut down */
  readonly old: KnownMachine | undefined
  /** the machine that this run has given the cluster's config */
  readonly replacement: KnownMachine | undefined
  /** those that have given machines a place in the control plane beside the one there was, the newest first */
  readonly joined: readonly Undoable[]
  /** of an etcd on the replacement: whether the order to begin it was given, or (the run was killed over it) only may have been */
  readonly etcd: 'none' | 'maybe' | 'begun'
}

/** Works the way back out from the journal alone. A rollback that was killed finds what it has left. */
export function wayBack(journal: Journal): WayBack {
  const all = journal.changes().filter(isUndoable)
  const last = (kind: string) =>
    all.findLast(({ undo, state, phase }) => undo.kind === kind && state !== 'undone' && phase !== 'join')
  const [config, etcd] = [last('machine-config'), last('etcd')]
  // A machine that has left etcd was switched off too, and is not known by its hardware: it does not come back so.
  const power = all.findLast(({ undo, state }) => undo.kind === 'power' && 'uuid' in undo && state !== 'undone')
  // When it has begun, both are in the journal.
  const twoEtcds = etcd !== undefined && !journal.rollbackUnderWay
  const standAgain = twoEtcds ? undoneSince(power ?? etcd, all.filter(isInCluster), journal) : []
  const goWithIt = twoEtcds ? all.filter((one) => isInCluster(one) && one.id > etcd.id && one.state !== 'undone') : []
  const owed = all.filter((one) => one.state !== 'undone' || standAgain.includes(one))
  return {
    changes: owed.filter((one) => !goWithIt.includes(one)).reverse(),
    standAgain,
    goWithIt,
    old: power && knownMachine(power),
    replacement: config && knownMachine(config),
    joined: all.filter((one) => isJoin(one) && one.state !== 'undone').reverse(),
    etcd: etcd === undefined ? 'none' : etcd.state === 'done' ? 'begun' : 'maybe',
  }
}

// What a rollback has done to the old machine is not for the next one to take back.
function isUndoable(change: JournaledChange): change is Undoable {
  return change.undo !== null && change.phase !== 'rollback'
}

function isInCluster({ undo }: Undoable): boolean {
  return undoOf(undo).where === 'cluster'
}

/** Those that were made before the machines parted, and undone after that. */
function undoneSince(parted: Undoable, changes: readonly Undoable[], { records }: Journal): Undoable[] {
  const at = records.findIndex((record) => record.type === 'change' && record.id === parted.id)
  const later = records.slice(at).filter((record) => record.type === 'outcome' && record.state === 'undone')
  const undone = new Set(later.flatMap((record) => (record.type === 'outcome' ? record.id : [])))
  return changes.filter(({ id, state }) => id < parted.id && state === 'undone' && undone.has(id))
}

/** Whether a change has given a machine the config with which it joins. */
export function isJoin({ undo, phase }: Undoable): boolean {
  return undo.kind === 'machine-config' && phase === 'join'
}
