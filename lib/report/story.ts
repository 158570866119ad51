import type { JournalRecord } from '../migration/journal.ts'

/** From when to when something went on, in milliseconds since the epoch. What has no end yet lasts until the story's. */
export interface Span {
  readonly from: number
  readonly to: number
}

export interface Wait extends Span {
  readonly step: string
  readonly name: string
  readonly met: boolean
}

export interface Step extends Span {
  readonly title: string
  readonly state: 'done' | 'failed' | 'unfinished'
  readonly message: string | undefined
}

/** One attempt at a phase: a phase that was stopped and taken up again has several. */
export interface Attempt extends Span {
  readonly phase: string
  readonly state: 'done' | 'failed' | 'interrupted' | 'unfinished'
  readonly message: string | undefined
  readonly steps: readonly Step[]
  readonly waits: readonly Wait[]
}

export interface Change {
  readonly at: number
  readonly phase: string
  readonly step: string
  readonly what: string
  readonly state: 'begun' | 'made' | 'undone' | 'failed' | 'conflict'
  /** Whether the journal holds what it was before. */
  readonly undoable: boolean
  readonly message: string | undefined
}

/** A run as its journal tells it, in the order in which it happened. */
export interface Story extends Span {
  readonly id: string
  readonly cluster: string
  readonly scenario: string
  /** completed and verified */
  readonly ended: boolean
  readonly attempts: readonly Attempt[]
  readonly changes: readonly Change[]
}

/** Reads the story out of a journal's records; null when it has no run in it. */
export function readStory(records: readonly JournalRecord[]): Story | null {
  const run = records.find((record) => record.type === 'run')
  if (run?.type !== 'run') return null
  const to = timeOf(records.at(-1) ?? run)
  return {
    id: run.id,
    cluster: run.cluster,
    scenario: run.scenario,
    ended: records.some(({ type }) => type === 'end'),
    from: timeOf(run),
    to,
    attempts: attemptsIn(records, to),
    changes: changesIn(records),
  }
}

function attemptsIn(records: readonly JournalRecord[], end: number): Attempt[] {
  const begins = records.flatMap((record, place) =>
    record.type === 'phase' && (record.state === 'begin' || record.state === 'resume') ? [{ record, place }] : [],
  )
  return begins.map(({ record, place }) => {
    const next = records.findIndex((r, i) => i > place && r.type === 'phase')
    const close = next < 0 ? undefined : records[next]
    const own = records.slice(place, next < 0 ? undefined : next)
    const closes = close?.type === 'phase' && close.phase === record.phase ? close.state : 'begin'
    // Killed: the next thing that the journal tells of is a beginning, or nothing. It lasted until its own last word.
    const state = closes === 'begin' || closes === 'resume' ? 'unfinished' : closes
    const to = state === 'unfinished' ? (next < 0 ? end : timeOf(own.at(-1) ?? record)) : timeOf(close ?? record)
    const message = close?.type === 'phase' && state !== 'unfinished' ? close.message : undefined
    return {
      phase: record.phase,
      from: timeOf(record),
      to,
      state,
      message,
      steps: stepsIn(own, to),
      waits: waitsIn(own),
    }
  })
}

function stepsIn(records: readonly JournalRecord[], end: number): Step[] {
  return records.flatMap((record, place) => {
    if (record.type !== 'step' || record.state !== 'begin') return []
    const close = records
      .slice(place + 1)
      .find((r) => r.type === 'step' && r.step === record.step && r.state !== 'begin')
    const ended = close?.type === 'step' ? close : undefined
    const state = ended === undefined ? 'unfinished' : ended.state === 'done' ? 'done' : 'failed'
    const to = ended === undefined ? end : timeOf(ended)
    return [{ title: record.step, from: timeOf(record), to, state, message: ended?.message }]
  })
}

function waitsIn(records: readonly JournalRecord[]): Wait[] {
  return records.flatMap((record) => {
    if (record.type !== 'wait') return []
    const { step, name, met, seconds } = record
    const to = timeOf(record)
    return [{ step, name, met, from: to - seconds * 1000, to }]
  })
}

function changesIn(records: readonly JournalRecord[]): Change[] {
  const outcomes = new Map<number, { state: Change['state']; message: string | undefined }>()
  for (const record of records) {
    if (record.type !== 'outcome') continue
    const state = record.state === 'done' ? 'made' : record.state
    outcomes.set(record.id, { state, message: record.message })
  }
  return records.flatMap((record) => {
    if (record.type !== 'change') return []
    const { id, phase, step, what, undo } = record
    const { state, message } = outcomes.get(id) ?? { state: 'begun' as const, message: undefined }
    return [{ at: timeOf(record), phase, step, what, state, undoable: undo !== null, message }]
  })
}

function timeOf({ at }: JournalRecord): number {
  return Date.parse(at)
}
