import { join } from 'node:path'
import { type Clock, systemClock } from '../migration/clock.ts'
import { Journal } from '../migration/journal.ts'
import { away, awayFact } from '../talos/join/away.ts'
import type { PracticeCluster } from './practice-cluster.ts'

const lookEveryMs = 100

/**
 * The operator who stands beside the machines during the test of redundancy: pulls the power of a machine when the run says so, and gives it back when told.
 * @returns when the signal aborts
 */
export async function lendHands(
  cluster: PracticeCluster,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const path = join(cluster.homelab.outputDir, 'current', 'journal.jsonl')
  let done = 0
  while (!signal.aborted) {
    const { records } = Journal.inMemory(path, () => new Date())
    const orders = records.filter((record) => record.type === 'fact' && record.name === awayFact)
    for (const order of orders.slice(done)) {
      if (order.type !== 'fact') continue
      const { address, do: what } = away.parse(order.fact)
      const machine = cluster.machines.find(
        ({ hardware, running }) => hardware.address === address && running === (what === 'pull'),
      )
      if (what === 'pull') await machine?.cutPower()
      else machine?.powerOn()
    }
    done = orders.length
    await clock.sleep(lookEveryMs, signal)
  }
}
