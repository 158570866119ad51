import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod'
import { messageOf, OperatorError } from './errors.ts'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
/** What is needed to undo one change: plain JSON without secrets. `kind` says which code undoes it. */
export type UndoData = { kind: string } & { [key: string]: Json }

const json: z.ZodType<Json> = z.json()
const undoData = z.looseObject({ kind: z.string() }) as unknown as z.ZodType<UndoData>
const place = { phase: z.string(), step: z.string() }

const recordSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('run'), id: z.string(), cluster: z.string(), scenario: z.string() }),
  z.object({
    type: z.literal('phase'),
    phase: z.string(),
    state: z.enum(['begin', 'resume', 'done', 'failed', 'interrupted']),
    seconds: z.number().optional(),
    message: z.string().optional(),
    pid: z.number().optional(),
  }),
  z.object({
    type: z.literal('step'),
    ...place,
    state: z.enum(['begin', 'done', 'failed']),
    seconds: z.number().optional(),
    message: z.string().optional(),
    result: json.optional(),
  }),
  z.object({ type: z.literal('change'), id: z.number(), ...place, what: z.string(), undo: undoData.nullable() }),
  z.object({
    type: z.literal('outcome'),
    id: z.number(),
    state: z.enum(['done', 'failed', 'undone', 'conflict']),
    message: z.string().optional(),
  }),
  z.object({ type: z.literal('wait'), ...place, name: z.string(), seconds: z.number(), met: z.boolean() }),
  z.object({ type: z.literal('fact'), phase: z.string(), name: z.string(), fact: json }),
  z.object({ type: z.literal('end') }),
  // From `begun` on these phases count as not begun; from `done` on what they remembered counts no more.
  z.object({ type: z.literal('rollback'), state: z.enum(['begun', 'done']), phases: z.array(z.string()) }),
])

export type JournalEntry = z.output<typeof recordSchema>
export type JournalRecord = JournalEntry & { at: string }
export type PhaseState = 'not begun' | 'begun' | 'done' | 'failed' | 'interrupted'

/** A change as the journal knows it. `undone` ones stay listed, with their state. */
export interface JournaledChange {
  id: number
  phase: string
  step: string
  what: string
  undo: UndoData | null
  state: 'begun' | 'done' | 'undone'
}

/**
 * The memory of a run: JSON lines, only ever appended to, on the disk (fsync) before the effect that they announce.
 * A line torn by a crash is passed over, and the next one begins on a line of its own.
 */
export class Journal {
  readonly path: string | null
  readonly records: JournalRecord[]
  readonly #changes = new Map<number, JournaledChange>()
  readonly #byDescription = new Map<string, JournaledChange[]>()
  readonly #lastSaid = new Map<number, { place: number; state: string }>()
  #lastChange = 0
  #descriptor: number | null
  /** whether the last line may be one that a full disk has cut off */
  #torn = false
  #now: () => Date

  private constructor(path: string | null, records: JournalRecord[], descriptor: number | null, now: () => Date) {
    this.path = path
    this.records = records
    this.#descriptor = descriptor
    this.#now = now
    records.forEach((record, place) => {
      this.#follow(record, place)
    })
  }

  /** Opens the journal for appending; creates it if it is not there. */
  static open(path: string, now: () => Date): Journal {
    const isNew = !existsSync(path)
    const text = isNew ? '' : readFileSync(path, 'utf8')
    const descriptor = openSync(path, 'a', 0o600)
    if (isNew) syncFolder(dirname(path))
    if (text !== '' && !text.endsWith('\n')) writeSync(descriptor, '\n')
    return new Journal(path, parseRecords(text), descriptor, now)
  }

  /** A journal whose new entries stay in memory: for a dry run, and for phases that only read. */
  static inMemory(path: string | null, now: () => Date): Journal {
    const text = path !== null && existsSync(path) ? readFileSync(path, 'utf8') : ''
    return new Journal(path, parseRecords(text), null, now)
  }

  /** @throws OperatorError when its disk is full or gone */
  append(entry: JournalEntry): void {
    const record = { at: this.#now().toISOString(), ...entry } as JournalRecord
    if (this.#descriptor !== null) this.#write(this.#descriptor, JSON.stringify(record))
    this.records.push(record)
    this.#follow(record, this.records.length - 1)
  }

  #write(descriptor: number, line: string): void {
    const bytes = Buffer.from(`${this.#torn ? '\n' : ''}${line}\n`)
    this.#torn = true
    try {
      if (writeSync(descriptor, bytes) < bytes.length) throw new Error('ENOSPC: it was cut off')
      fsyncSync(descriptor)
      this.#torn = false
    } catch (error) {
      throw new OperatorError(`The journal ${this.path} cannot be written: ${messageOf(error)}`, {
        means: 'Nothing is changed that is not in the journal first, so the run stops here.',
        next: 'Free some room there (OUTPUT_DIR), or mount it again; then the same command goes on.',
        cause: error,
      })
    }
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  /** Journals what is about to be changed and returns the change's id. */
  beginChange(change: { phase: string; step: string; what: string; undo: UndoData | null }): number {
    const id = this.#lastChange + 1
    this.append({ type: 'change', id, ...change })
    return id
  }

  /** The changes in the order in which they were begun. */
  changes(filter: { phase?: string; kind?: string } = {}): JournaledChange[] {
    return [...this.#changes.values()]
      .filter(
        (change) =>
          (filter.phase === undefined || change.phase === filter.phase) &&
          (filter.kind === undefined || change.undo?.kind === filter.kind),
      )
      .map((change) => ({ ...change }))
  }

  /** The newest change of this description that has not been undone. */
  standingChange(what: string): JournaledChange | undefined {
    return this.#byDescription.get(what)?.findLast((change) => change.state !== 'undone')
  }

  fact(name: string): Json | undefined {
    const last = this.records.findLast(
      (record, place) => record.type === 'fact' && record.name === name && this.remembers(place),
    )
    return last?.type === 'fact' ? last.fact : undefined
  }

  /** Whether what stands at a place of the records still counts: the facts of a phase that was rolled back do not. */
  remembers(place: number): boolean {
    const record = this.records[place]
    return record !== undefined && 'phase' in record && this.#lastRollback(record.phase, 'done') < place
  }

  /** Whether a rollback has begun to undo, and has not come to its end. */
  get rollbackUnderWay(): boolean {
    const last = this.records.findLast((record) => record.type === 'rollback')
    return last?.type === 'rollback' && last.state === 'begun'
  }

  /** Where a phase stands: the last thing that the journal says of it. One that was rolled back since is not begun. */
  phaseState(phase: string): PhaseState {
    const place = this.records.findLastIndex((record) => record.type === 'phase' && record.phase === phase)
    const last = this.records[place]
    if (last?.type !== 'phase' || this.#lastRollback(phase) > place) return 'not begun'
    return last.state === 'begin' || last.state === 'resume' ? 'begun' : last.state
  }

  /** The result of a step that was done since its phase was last begun anew. */
  doneStep(phase: string, step: string): { result: Json | undefined } | undefined {
    const begun = this.#begunAnew(phase)
    const done = this.records
      .slice(begun)
      .findLast((r) => r.type === 'step' && r.phase === phase && r.step === step && r.state === 'done')
    return done?.type === 'step' ? { result: done.result } : undefined
  }

  /** Whether `phase` was completed after `other` last was. */
  doneAfter(phase: string, other: string): boolean {
    const last = (name: string) =>
      this.records.findLastIndex((r) => r.type === 'phase' && r.phase === name && r.state === 'done')
    return last(phase) > last(other)
  }

  /** Whether the migration was completed and verified, and not rolled back since. */
  get ended(): boolean {
    const last = this.records.findLast(({ type }) => type === 'end' || type === 'rollback')
    return last?.type === 'end'
  }

  /** What became of a change of this description since the phase was last begun anew: `begun` when nothing is known of its end. */
  changeSinceBegun(phase: string, what: string): 'begun' | 'done' | 'failed' | undefined {
    const begun = this.#begunAnew(phase)
    for (const { id } of this.#byDescription.get(what)?.toReversed() ?? []) {
      const last = this.#lastSaid.get(id)
      if (last === undefined || last.place < begun) continue
      if (last.state === 'begun' || last.state === 'done' || last.state === 'failed') return last.state
    }
    return undefined
  }

  // Kept as the records come: a restore journals as many changes as the cluster has objects.
  #follow(record: JournalRecord, place: number): void {
    if (record.type === 'change') {
      const { id, phase, step, what, undo } = record
      const change: JournaledChange = { id, phase, step, what, undo, state: 'begun' }
      this.#changes.set(id, change)
      this.#byDescription.set(what, [...(this.#byDescription.get(what) ?? []), change])
      this.#lastChange = Math.max(this.#lastChange, id)
      this.#lastSaid.set(id, { place, state: 'begun' })
    }
    if (record.type === 'outcome') {
      this.#lastSaid.set(record.id, { place, state: record.state })
      const change = this.#changes.get(record.id)
      if (change && (record.state === 'done' || record.state === 'undone')) change.state = record.state
    }
  }

  #begunAnew(phase: string): number {
    return Math.max(
      0,
      this.records.findLastIndex((r) => r.type === 'phase' && r.phase === phase && r.state === 'begin'),
      this.#lastRollback(phase),
    )
  }

  #lastRollback(phase: string, state?: 'done'): number {
    return this.records.findLastIndex(
      (r) => r.type === 'rollback' && r.phases.includes(phase) && (state === undefined || r.state === state),
    )
  }
}

function parseRecords(text: string): JournalRecord[] {
  return text.split('\n').flatMap((line) => {
    const record = parseLine(line)
    return record === undefined ? [] : [record]
  })
}

function parseLine(line: string): JournalRecord | undefined {
  if (line.trim() === '') return undefined
  try {
    const raw = z.looseObject({ at: z.string() }).parse(JSON.parse(line))
    return { at: raw.at, ...recordSchema.parse(raw) } as JournalRecord
  } catch {
    // Torn by a crash: whatever it announced had not been begun, for the line comes first and whole.
    return undefined
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
