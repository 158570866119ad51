import { wholeBackups } from '../../backup/choose.ts'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Migration } from '../../migration/migration.ts'
import { lookBeforeJoin } from '../../talos/join/look.ts'
import type { JoiningNode } from '../../talos/join/nodes.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { type CheckResult, runChecks } from '../check.ts'
import { clusterChecks } from './cluster.ts'
import type { JoinContext } from './context.ts'
import { machineChecks } from './machine.ts'
import { secretsChecks } from './secrets.ts'

/** Everything that is asked before a machine joins the control plane. */
export const joinChecks = [...clusterChecks, ...secretsChecks, ...machineChecks] as const

/** Looks at the cluster, at its backups and at the machine. @throws OperatorError when no control plane machine answers */
export async function joinContext(
  { settings, clock }: Pick<Migration, 'settings' | 'clock'>,
  talosctl: Talosctl,
  api: KubernetesApi,
  node: JoiningNode,
): Promise<JoinContext> {
  const view = await lookBeforeJoin(settings, talosctl, node)
  return { ...view, settings, now: clock.now(), talosctl, api, backups: await wholeBackups(settings.backupDir) }
}

/** Runs them all at once; one that fails hides no other. */
export function checkBeforeJoin(context: JoinContext): Promise<CheckResult[]> {
  return runChecks(joinChecks, context)
}
