import type { Finding, Severity } from '../check.ts'
import type { StateCheck } from '../checks/state-check.ts'
import { stateChecks } from '../comparison.ts'
import type { PreflightCheck, PreflightContext } from './context.ts'

const isStore = ({ subject }: Finding) => /^(Cluster)?SecretStore /.test(subject)
const isSource = ({ subject }: Finding) => /^(GitRepository|OCIRepository|HelmRepository|Bucket) /.test(subject)

/** What the cluster is made anew from when it is rebuilt, and what the machine's own state does not need. */
function severityOf(finding: Finding, { settings }: PreflightContext): Severity {
  const isNeeded = settings.recovery === 'gitops' && (isStore(finding) || isSource(finding))
  return isNeeded ? 'error' : 'warning'
}

async function found(check: StateCheck, context: PreflightContext): Promise<Finding[]> {
  const state = await context.state()
  return check
    .run({ now: state, before: state })
    .filter(({ subject }) => subject !== `Node ${context.settings.nodeName}` || check.name === 'Nodes are schedulable')
    .map((finding) => ({ ...finding, severity: severityOf(finding, context) }))
}

const externalSecrets = 'External Secrets are synced'

const asPreflight = (check: StateCheck): PreflightCheck => ({
  name: check.name,
  run: async (context) => {
    const all = await found(check, context)
    return check.name === externalSecrets ? all.filter((finding) => !isStore(finding)) : all
  },
})

const storesAreReady: PreflightCheck = {
  name: 'The stores that Secrets come from (1Password) are ready',
  run: async (context) => {
    const checks = stateChecks.filter(({ name }) => name === externalSecrets)
    return (await Promise.all(checks.map((check) => found(check, context)))).flat().filter(isStore)
  },
}

/**
 * What verify asks afterwards, asked now. Old troubles do not stop the evening, but they are better known before than taken for its
 * work after. What compares with before finds nothing in one state alone, and is left out, as is what is asked of others than the API.
 */
export const healthChecks: readonly PreflightCheck[] = [
  ...stateChecks.filter(({ compares, asksOthers }) => !compares && !asksOthers).map(asPreflight),
  storesAreReady,
]
