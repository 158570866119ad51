import * as z from 'zod'
import type { Migration } from '../../migration/migration.ts'
import type { MemberState } from './members.ts'

/** The name of the fact by which whoever stands beside the machines is told what to do. */
export const awayFact = 'redundancy-test'

export const away = z.object({ node: z.string(), address: z.string(), do: z.enum(['pull', 'restore']) })

/** Tells the operator to pull the power of a machine, or to give it back. */
export function tellHands(migration: Migration, { hostname, address }: MemberState, what: 'pull' | 'restore'): void {
  migration.remember(awayFact, { node: hostname, address, do: what })
  migration.console.warn(
    what === 'pull'
      ? `Now pull the power of ${hostname} (${address}). It leads etcd.`
      : `The others go on. Now give ${hostname} (${address}) its power back.`,
  )
}
