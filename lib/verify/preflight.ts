import { type CheckResult, runChecks } from './check.ts'
import { accessChecks } from './preflight/access.ts'
import { backupChecks } from './preflight/backup.ts'
import { clusterStateChecks } from './preflight/cluster.ts'
import type { PreflightCheck, PreflightContext } from './preflight/context.ts'
import { machineChecks } from './preflight/machine.ts'

/** Everything that is asked before the evening begins. */
export const preflightChecks: readonly PreflightCheck[] = [
  ...accessChecks,
  ...machineChecks,
  ...backupChecks,
  ...clusterStateChecks,
]

/**
 * Runs all of them at once; one that fails hides no other.
 * @param more what this evening's way asks for besides
 */
export function preflight(context: PreflightContext, more: readonly PreflightCheck[]): Promise<CheckResult[]> {
  return runChecks([...preflightChecks, ...more], context)
}
