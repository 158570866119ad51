import { wholeBackups } from '../../backup/choose.ts'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { lookBeforeJoin } from '../../talos/join/look.ts'
import { type JoiningNode, nodesToJoin } from '../../talos/join/nodes.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import { type CheckResult, type Finding, runChecks } from '../check.ts'
import type { PreflightCheck } from '../preflight/context.ts'
import { clusterChecks, snapshotIsFresh } from './cluster.ts'
import type { JoinContext } from './context.ts'
import { machineChecks } from './machine.ts'
import { secretsChecks } from './secrets.ts'

/** Everything that is asked before a machine joins the control plane. */
export const joinChecks = [...clusterChecks, ...secretsChecks, ...machineChecks] as const

const withoutSnapshot = joinChecks.filter((check) => check !== snapshotIsFresh)

/** Looks at the cluster, at its backups and at the machine. @throws OperatorError when no control plane machine answers */
export async function joinContext(
  { settings, now }: Pick<JoinContext, 'settings' | 'now'>,
  talosctl: Talosctl,
  api: KubernetesApi,
  node: JoiningNode,
): Promise<JoinContext> {
  const view = await lookBeforeJoin(settings, talosctl, node)
  return { ...view, settings, now, talosctl, api, backups: await wholeBackups(settings.backupDir) }
}

/**
 * Runs them all at once; one that fails hides no other.
 * @param how a dry run of the evening takes no snapshot, so none is asked for
 */
export function checkBeforeJoin(context: JoinContext, how: { dryRun: boolean }): Promise<CheckResult[]> {
  return runChecks(how.dryRun ? withoutSnapshot : joinChecks, context)
}

/** All of it for every machine of JOIN_NODES, as one check of an evening that has not begun, and so has no snapshot yet. */
export const machinesMayJoin: PreflightCheck = {
  name: 'The machines of JOIN_NODES may join',
  run: async (context) => {
    const { settings, now } = context
    const [talosctl, api] = await Promise.all([context.machine(), context.api()])
    const findings: Finding[] = []
    for (const node of nodesToJoin(settings)) {
      const results = await runChecks(withoutSnapshot, await joinContext({ settings, now }, talosctl, api, node))
      const found = results.flatMap((result) => result.findings)
      findings.push(...found.map((finding) => ({ ...finding, subject: `${node.name}: ${finding.subject}` })))
    }
    return findings
  },
}
