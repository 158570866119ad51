import { loadSettings } from '../../../lib/settings.ts'
import type { CheckResult } from '../../../lib/verify/check.ts'
import { runChecks } from '../../../lib/verify/check.ts'
import { LiveContext, type PreflightCheck, type PreflightContext } from '../../../lib/verify/preflight/context.ts'

const recipient = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'

/** A context whose parts are given; all else is that of the runbook's cluster, which is nowhere. */
export function fakeContext(parts: Partial<PreflightContext>, more: Record<string, string> = {}): PreflightContext {
  const settings = loadSettings({ CLUSTER: 'catalyst', AGE_RECIPIENTS: recipient, ...more })
  return Object.assign(new LiveContext(settings, new Date('2025-12-04T20:00:00Z')), parts)
}

/** What one check, by its name, has found. */
export async function resultOf(
  checks: readonly PreflightCheck[],
  name: string,
  context: PreflightContext,
): Promise<CheckResult> {
  const check = checks.find((each) => each.name === name)
  if (!check) throw new Error(`there is no check "${name}"`)
  const [result] = await runChecks([check], context)
  if (!result) throw new Error('no result')
  return result
}
