import { type CheckResult, runChecks } from './check.ts'
import { accessChecks } from './preflight/access.ts'
import { backupChecks } from './preflight/backup.ts'
import { certificateChecks } from './preflight/certificates.ts'
import { clusterStateChecks } from './preflight/cluster.ts'
import type { PreflightCheck, PreflightContext } from './preflight/context.ts'
import { gitopsChecks } from './preflight/gitops.ts'
import { healthChecks } from './preflight/health.ts'
import { machineChecks } from './preflight/machine.ts'
import { meshChecks } from './preflight/mesh.ts'
import { networkChecks } from './preflight/network.ts'
import { newMachineChecks } from './preflight/new-machine.ts'
import { webhookChecks } from './preflight/webhooks.ts'

/** Everything that is asked before the evening begins. */
export const preflightChecks: readonly PreflightCheck[] = [
  ...accessChecks,
  ...certificateChecks,
  ...machineChecks,
  ...newMachineChecks,
  ...backupChecks,
  ...clusterStateChecks,
  ...webhookChecks,
  ...networkChecks,
  ...meshChecks,
  ...gitopsChecks,
  ...healthChecks,
]

/**
 * Runs all of them at once; one that fails hides no other.
 * @param more what this evening's way asks for besides
 */
export function preflight(context: PreflightContext, more: readonly PreflightCheck[]): Promise<CheckResult[]> {
  return runChecks([...preflightChecks, ...more], context)
}
