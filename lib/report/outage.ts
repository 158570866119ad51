import type { JournalRecord } from '../migration/journal.ts'
import type { Span } from './story.ts'

/** A time without Kubernetes API, as far as the run knows: it does not watch, it knows what it did and what it saw. */
export interface Outage extends Span {
  /** false: the API had not answered again when the journal ended */
  readonly over: boolean
}

/**
 * From each order to a control plane machine to shut down, to the next time that the run saw the API of the cluster ready.
 * @param records of the journal
 */
export function outagesIn(records: readonly JournalRecord[]): Outage[] {
  const outages: Outage[] = []
  let down: number | undefined
  for (const record of records) {
    if (down === undefined && record.type === 'change' && record.undo?.kind === 'power') down = Date.parse(record.at)
    if (down !== undefined && record.type === 'wait' && record.met && apiReady.test(record.name)) {
      outages.push({ from: down, to: Date.parse(record.at), over: true })
      down = undefined
    }
  }
  const last = records.at(-1)
  if (down !== undefined && last) outages.push({ from: down, to: Date.parse(last.at), over: false })
  return outages
}

/** As lib/talos/control-plane.ts and lib/kubernetes/nodes.ts name their waits; a test holds them together. */
const apiReady = /^the (Kubernetes )?API .*is ready/
