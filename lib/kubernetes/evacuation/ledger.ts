import * as z from 'zod'
import type { Journal, Migration } from '../../migration/migration.ts'
import type { Copied, VolumePair } from './job.ts'

/** A PersistentVolume, by its name and spec. */
export const rememberedVolume = z.object({ name: z.string(), spec: z.record(z.string(), z.json()) })
export type CopyVolume = z.output<typeof rememberedVolume>

const evacuatedSchema = z.object({
  namespace: z.string(),
  claim: z.string(),
  volume: z.string(),
  copy: z.string(),
  storageClass: z.string(),
  copyNode: z.string().nullable().default(null),
  copyVolume: rememberedVolume.nullable().default(null),
  files: z.number(),
  kib: z.number(),
  digest: z.string(),
})

/** A volume whose data lies in a copy that was compared with it. */
export type Evacuated = z.output<typeof evacuatedSchema>

const evacuatedFact = 'evacuated '
const broughtBackFact = 'brought back '
const adoptedFact = 'copies of a lost journal'
const emptiedFact = 'the disk of the old machine was emptied'

export function rememberEvacuated(
  migration: Migration,
  pair: VolumePair,
  copied: Copied,
  copyVolume: CopyVolume | null,
): void {
  const { namespace, claim, volume, copy, storageClass, copyNode } = pair
  const names = { namespace, claim, volume, copy, storageClass, copyNode: copyNode?.name ?? null }
  const fact: Evacuated = { ...names, copyVolume, ...copied }
  migration.remember(`${evacuatedFact}${namespace}/${claim}`, fact)
}

export function rememberBroughtBack(migration: Migration, { namespace, claim }: VolumePair): void {
  migration.remember(`${broughtBackFact}${namespace}/${claim}`, true)
}

/**
 * The claims whose copies are as the volumes are: those that were copied in this run, and after the workloads were last allowed
 * to start.
 */
export function evacuatedNow(journal: Journal): Set<string> {
  return claimsCopiedAfter(journal, lastPhase(journal, 'resume'))
}

/** Those that this very phase has copied since it was last begun anew; what was copied before may have changed since. */
export function evacuatedInPhase({ journal, phase }: Pick<Migration, 'journal' | 'phase'>): Set<string> {
  return claimsCopiedAfter(journal, lastPhase(journal, phase, 'begin'))
}

/** Where this run's copies are: their class and, if that is local, their node; undefined when it has none. */
export function placeOfCopies(journal: Journal): Pick<Evacuated, 'storageClass' | 'copyNode'> | undefined {
  return evacuations(journal).at(-1)?.fact
}

/** What was evacuated in this run and has not been brought back since, each with its newest copy. */
export function stillAway(journal: Journal): Evacuated[] {
  return evacuations(journal).flatMap(({ at, fact }) => {
    const name = `${broughtBackFact}${fact.namespace}/${fact.claim}`
    const back = journal.records.findLastIndex((record) => record.type === 'fact' && record.name === name)
    return back > at ? [] : [fact]
  })
}

/** Names one beginning of a phase: what a Job of an earlier one has copied may have changed since. */
export function roundOf({ journal, phase }: Pick<Migration, 'journal' | 'phase'>): string {
  const run = journal.records.find((record) => record.type === 'run')
  const begun = journal.records[lastPhase(journal, phase, 'begin')]
  return [run?.type === 'run' ? run.id : 'no run', phase, begun?.at ?? ''].join(' ')
}

/** Whether the old machine has gone since the workloads last ran: its disk is not there to be copied from. */
export function machineIsGone(journal: Journal): boolean {
  return journal.phaseState('shutdown') === 'done' && journal.doneAfter('shutdown', 'resume')
}

/** Whether another disk has taken over since the volumes were copied; a journal that was begun after that cannot tell. */
export function machineWasReplaced(journal: Journal): boolean {
  const otherDisk = journal.fact(adoptedFact) === true || journal.fact(emptiedFact) === true
  return journal.phaseState('provision') === 'done' || otherDisk
}

/** On the way back: the old machine comes without its data, as a new one does. What was brought back to the new one is away again. */
export function rememberDiskEmptied(migration: Migration): void {
  migration.remember(emptiedFact, true)
  for (const { fact } of evacuations(migration.journal)) {
    migration.remember(`${evacuatedFact}${fact.namespace}/${fact.claim}`, fact)
  }
}

/** The volumes whose data was brought to the new machine's disk, as they were evacuated. */
export function broughtToNewDisk(journal: Journal): Evacuated[] {
  const brought = new Set(
    journal.records.flatMap((record, place) =>
      record.type === 'fact' && record.name.startsWith(broughtBackFact) && journal.remembers(place) ? record.name : [],
    ),
  )
  const nameOf = ({ namespace, claim }: Evacuated) => `${namespace}/${claim}`
  return evacuations(journal)
    .map(({ fact }) => fact)
    .filter((fact) => brought.has(`${broughtBackFact}${nameOf(fact)}`))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

/** Takes copies of a run whose journal is lost for this run's own. */
export function rememberAdopted(migration: Migration, copies: readonly Evacuated[]): void {
  for (const copy of copies) migration.remember(`${evacuatedFact}${copy.namespace}/${copy.claim}`, copy)
  if (copies.length > 0) migration.remember(adoptedFact, true)
}

function claimsCopiedAfter(journal: Journal, after: number): Set<string> {
  const copied = evacuations(journal).filter(({ at }) => at > after)
  return new Set(copied.map(({ fact }) => `${fact.namespace}/${fact.claim}`))
}

function lastPhase(journal: Journal, name: string, state?: 'begin'): number {
  return journal.records.findLastIndex(
    (record) => record.type === 'phase' && record.phase === name && (state === undefined || record.state === state),
  )
}

function evacuations(journal: Journal): { at: number; fact: Evacuated }[] {
  const newest = new Map<string, { at: number; fact: Evacuated }>()
  for (const [at, record] of journal.records.entries()) {
    if (record.type !== 'fact' || !record.name.startsWith(evacuatedFact) || !journal.remembers(at)) continue
    newest.set(record.name, { at, fact: evacuatedSchema.parse(record.fact) })
  }
  return [...newest.values()]
}
