import type { Finding } from './check.ts'

export const dayMs = 86_400_000
const soonDays = 14

/** A certificate that ends within two weeks; within a day it is an error: so long an evening may take, when it takes the morning too. */
export function expiring(subject: string, what: string, ends: Date, now: Date, wayOut: string): Finding[] {
  const days = (ends.getTime() - now.getTime()) / dayMs
  if (days > soonDays) return []
  const evidence = `${what} ${days < 0 ? 'expired on' : 'ends on'} ${ends.toISOString()}`
  return [{ subject, evidence, severity: days > 1 ? 'warning' : 'error', wayOut }]
}
