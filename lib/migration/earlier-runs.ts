import { chmodSync, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Journal, type JournalRecord } from './journal.ts'

/** What is over: an evening of a real cluster, or one that was practised on this machine. */
export type Kind = 'evening' | 'rehearsal'

/** A run whose journal was kept. */
export interface EarlierRun {
  readonly kind: Kind
  readonly id: string
  readonly cluster: string
  readonly scenario: string
  /** when it began, as the journal has it (ISO 8601) */
  readonly at: string
  readonly records: readonly JournalRecord[]
}

const folders: Readonly<Record<Kind, string>> = { evening: 'evenings', rehearsal: 'rehearsals' }
const kept = 10

/**
 * Keeps a copy of a run's journal where later plans and reports find it, however often: a later copy takes the place of an earlier one.
 * The newest ten of each kind are kept. A journal holds no secrets.
 * @param folder EARLIER_RUNS_DIR
 * @param path of the journal
 * @throws when the folder cannot be written to
 */
export function keepRun(folder: string, kind: Kind, id: string, path: string): void {
  const place = join(folder, folders[kind])
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const fresh = join(place, `${id}.${process.pid}`)
  copyFileSync(path, fresh)
  chmodSync(fresh, 0o600)
  renameSync(fresh, join(place, `${id}.jsonl`))
  for (const old of journalsIn(place).slice(kept)) rmSync(join(place, old), { force: true })
}

/**
 * What was kept, the newest first; nothing where nothing was.
 * @param folder EARLIER_RUNS_DIR
 */
export function earlierRuns(folder: string): EarlierRun[] {
  const runs = (Object.keys(folders) as Kind[]).flatMap((kind) => {
    const place = join(folder, folders[kind])
    return journalsIn(place).flatMap((name) => readRun(kind, join(place, name)))
  })
  return runs.toSorted((a, b) => b.at.localeCompare(a.at))
}

/** By their names, which begin with the time: the newest first. */
function journalsIn(place: string): string[] {
  try {
    return readdirSync(place)
      .filter((name) => name.endsWith('.jsonl'))
      .toSorted()
      .toReversed()
  } catch {
    return []
  }
}

function readRun(kind: Kind, path: string): EarlierRun[] {
  const { records } = Journal.inMemory(path, () => new Date())
  const run = records.find((record) => record.type === 'run')
  if (run?.type !== 'run') return []
  const { id, cluster, scenario, at } = run
  return [{ kind, id, cluster, scenario, at, records }]
}
