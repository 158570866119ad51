import type { Finding } from '../verify/check.ts'
import type { PreflightCheck } from '../verify/preflight/context.ts'
import { decide, restoreListPath } from './decision.ts'
import { objectsOfCluster } from './objects.ts'

/** With RECOVERY=gitops: whether the operator's list can be read, fits the cluster as it is now, and leaves nothing out. */
export const restoreListFits: PreflightCheck = {
  name: 'The list of what Git does not hold fits the cluster',
  run: async (context) => {
    const { listed, losses } = await decide(context.settings, objectsOfCluster(await context.api()))
    if (listed === undefined) return [noList(restoreListPath(context.settings))]
    const unlisted = losses.filter(({ unlisted }) => unlisted).map(({ called }) => called)
    return unlisted.length === 0 ? [] : [leftOut(listed, unlisted)]
  },
}

function noList(path: string): Finding {
  return {
    subject: path,
    evidence: 'it is not there: all that Git does not hold will be restored',
    severity: 'warning',
    wayOut: 'To read and edit it first: task migrate:plan RECOVERY=gitops',
  }
}

function leftOut(path: string, names: readonly string[]): Finding {
  const more = names.length > 5 ? ` and ${names.length - 5} more` : ''
  return {
    subject: path,
    evidence: `neither in Git nor in it, and so lost: ${names.slice(0, 5).join(', ')}${more}`,
    severity: 'warning',
    wayOut: 'Nothing, if that is meant; else add them to the list, or remove it: then it is worked out anew.',
  }
}
