import type { JournalEntry, JournalRecord } from '../../lib/migration/journal.ts'

const begin = Date.parse('2026-11-24T23:00:00.000Z')

/** Records of a journal, each so many seconds after the run began. */
export function recordsAt(...entries: [number, JournalEntry][]): JournalRecord[] {
  return entries.map(([seconds, entry]) => ({ at: new Date(begin + seconds * 1000).toISOString(), ...entry }))
}

export const run: JournalEntry = { type: 'run', id: 'RUN', cluster: 'catalyst', scenario: 'A' }

export const phase = (
  name: string,
  state: 'begin' | 'resume' | 'done' | 'failed' | 'interrupted',
  message?: string,
): JournalEntry => ({ type: 'phase', phase: name, state, ...(message === undefined ? {} : { message }) })

export const step = (of: string, title: string, state: 'begin' | 'done' | 'failed'): JournalEntry => ({
  type: 'step',
  phase: of,
  step: title,
  state,
})

export const wait = (of: string, title: string, name: string, seconds: number, met = true): JournalEntry => ({
  type: 'wait',
  phase: of,
  step: title,
  name,
  seconds,
  met,
})

export const change = (id: number, of: string, what: string, kind?: string): JournalEntry => ({
  type: 'change',
  id,
  phase: of,
  step: 'Step',
  what,
  undo: kind === undefined ? null : { kind },
})

export const outcome = (
  id: number,
  state: 'done' | 'failed' | 'undone' | 'conflict',
  message?: string,
): JournalEntry => ({
  type: 'outcome',
  id,
  state,
  ...(message === undefined ? {} : { message }),
})
