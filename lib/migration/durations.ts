import type { JournalRecord } from './journal.ts'

/** The part of an evening in which the operator is the one who works. It is no phase: it lies between shutdown and provision. */
export const swap = 'swap of the hardware'

/**
 * How many seconds each phase took that was completed, all attempts at it together, by its name; and the swap of the hardware, from the end of
 * shutdown until the new machine was there, which is no part of provision.
 * @param records of a journal
 */
export function durations(records: readonly JournalRecord[]): Map<string, number> {
  const taken = new Map<string, number>()
  const done = new Set<string>()
  for (const record of records) {
    if (record.type !== 'phase') continue
    if (record.seconds !== undefined) taken.set(record.phase, (taken.get(record.phase) ?? 0) + record.seconds)
    if (record.state === 'done') done.add(record.phase)
    if (record.state === 'begin' && done.delete(record.phase)) taken.delete(record.phase)
  }
  const whole = new Map([...taken].filter(([phase]) => done.has(phase)))
  const provision = whole.get('provision')
  if (provision !== undefined) whole.set('provision', Math.max(0, provision - waitedForMachine(records)))
  const swapped = swapSeconds(records)
  return swapped === undefined ? whole : whole.set(swap, swapped)
}

function waitedForMachine(records: readonly JournalRecord[]): number {
  return records.reduce((sum, record) => sum + (isMachineThere(record) ? record.seconds : 0), 0)
}

function swapSeconds(records: readonly JournalRecord[]): number | undefined {
  const off = records.findLast((r) => r.type === 'phase' && r.phase === 'shutdown' && r.state === 'done')
  const there = records.findLast((record) => isMachineThere(record) && record.met)
  if (off === undefined || there === undefined) return undefined
  return Math.max(0, (Date.parse(there.at) - Date.parse(off.at)) / 1000)
}

/** The wait for the new machine, as lib/talos/new-machine.ts names it; a test holds them together. */
export function isMachineThere(record: JournalRecord): record is JournalRecord & { type: 'wait' } {
  return record.type === 'wait' && /^the new machine waits at .* in maintenance mode$/.test(record.name)
}
