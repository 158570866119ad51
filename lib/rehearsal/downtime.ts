import type { Outage } from '../kubernetes/availability.ts'
import { isMachineThere } from '../migration/durations.ts'
import type { JournalRecord } from '../migration/journal.ts'
import type { MachineEvent } from './timeline.ts'

/** Who took the time: the machines and the programs on them, the one who swaps the hardware, or talos-migrate. */
export type TimeOf = 'machine' | 'operator' | 'ours'

/** One part of the time that the API was down. */
export interface Slice {
  what: string
  of: TimeOf
  seconds: number
}

export interface Downtime {
  /** The whole time without API, in seconds. */
  seconds: number
  slices: Slice[]
  /** What of it was talos-migrate's own, in seconds. */
  ours: number
}

/** When the run came to know something, as its journal says; milliseconds since the epoch. */
export interface Moments {
  /** that the old machine is off */
  provenOff: number | undefined
  /** that the new one waits for its config, and fits it */
  seenWaiting: number | undefined
  /** that it runs with it */
  seenRunning: number | undefined
}

/** What happened: to the machines by their own timelines, to the run by its journal. */
export interface Evening extends Moments {
  old: readonly MachineEvent[]
  replacement: readonly MachineEvent[]
}

/** Reads the moments off a journal. */
export function momentsOf(records: readonly JournalRecord[]): Moments {
  const at = (record: JournalRecord | undefined) => (record ? Date.parse(record.at) : undefined)
  return {
    provenOff: at(records.find((one) => one.type === 'phase' && one.phase === 'shutdown' && one.state === 'done')),
    seenWaiting: at(records.find((one) => isMachineThere(one) && one.met)),
    seenRunning: at(
      records.find((one) => one.type === 'wait' && one.met && /^the new machine runs with/.test(one.name)),
    ),
  }
}

/**
 * Divides the outage by what happened meanwhile. The boundaries follow each other as in the runbook; one that is missing,
 * or that came before its predecessor, gives its time to the next.
 */
export function divideDowntime(outages: readonly Outage[], evening: Evening): Downtime {
  const seconds = sum(outages.map(({ from, to }) => to - from)) / 1000
  const longest = outages.reduce<Outage | undefined>((a, b) => (a && a.to - a.from >= b.to - b.from ? a : b), undefined)
  if (!longest) return { seconds: 0, slices: [], ours: 0 }
  const slices: Slice[] = []
  let from = longest.from
  for (const { at, what, of } of boundaries(evening)) {
    const to = Math.min(at ?? from, longest.to)
    if (to <= from) continue
    slices.push({ what, of, seconds: (to - from) / 1000 })
    from = to
  }
  if (longest.to > from)
    slices.push({ what: 'the API server starts', of: 'machine', seconds: (longest.to - from) / 1000 })
  const others = seconds - (longest.to - longest.from) / 1000
  if (others > 0.05) slices.push({ what: 'other, shorter outages', of: 'ours', seconds: others })
  const ours = sum(slices.filter((slice) => slice.of === 'ours').map((slice) => slice.seconds))
  return { seconds, slices, ours }
}

interface Boundary {
  at: number | undefined
  what: string
  of: TimeOf
}

function boundaries({ old, replacement, provenOff, seenWaiting, seenRunning }: Evening): Boundary[] {
  const last = (event: string) => old.findLast((one) => one.event === event)?.at
  const first = (event: string) => replacement.find((one) => one.event === event)?.at
  // A recovery uploads the snapshot and then asks for the bootstrap: our turn ends with the latter.
  return [
    { at: last('stopped'), what: 'the old machine shuts down', of: 'machine' },
    { at: provenOff, what: 'proof that it is off', of: 'ours' },
    { at: first('power-on'), what: 'the operator swaps the hardware', of: 'operator' },
    { at: first('maintenance-ready'), what: 'the new machine starts, into maintenance mode', of: 'machine' },
    { at: seenWaiting, what: 'it is seen, its disks and cards are checked', of: 'ours' },
    { at: first('config-applied'), what: 'it is sent its config', of: 'ours' },
    { at: first('booted'), what: 'it restarts with it', of: 'machine' },
    { at: seenRunning, what: 'it is seen again', of: 'ours' },
    { at: first('bootstrap-requested'), what: 'it is sent the snapshot', of: 'ours' },
    { at: first('etcd-ready'), what: 'etcd recovers the snapshot and starts', of: 'machine' },
  ]
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
