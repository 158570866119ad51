import { ApiError, ConnectionError, type KubernetesApi } from './api.ts'
import type { DrainOptions } from './drain-options.ts'
import type { Pod } from './kinds.ts'
import { podPath } from './pods.ts'

/** What came of asking a pod to go: it is going (or gone), or it is to be asked again; after Infinity ms: never. */
export type Asked = { going: true } | { going: false; why: string; againAfterMs: number }

const secondMs = 1000

/**
 * Asks for one eviction, or, where evictions are disabled, deletes the pod without asking its budget. The pod is meant
 * by its UID: the name may meanwhile belong to a StatefulSet's replacement on another node.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 */
export async function askToGo(
  api: KubernetesApi,
  pod: Pod,
  { disableEviction, gracePeriodSeconds }: Pick<DrainOptions, 'disableEviction' | 'gracePeriodSeconds'>,
): Promise<Asked> {
  const { name, namespace, uid } = pod.metadata
  const deleteOptions = {
    preconditions: { uid },
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  }
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace }, deleteOptions }
  try {
    await (disableEviction ? api.remove(podPath(pod), deleteOptions) : api.create(`${podPath(pod)}/eviction`, eviction))
    return { going: true }
  } catch (error) {
    if (error instanceof ApiError) return understand(error, pod)
    // The API server may be restarting; if it stays away, the drain's own timeout ends it.
    if (error instanceof ConnectionError) return again(error.message)
    throw error
  }
}

function understand(error: ApiError, pod: Pod): Asked {
  const status = parse(error.body)
  switch (error.status) {
    case 404:
      return { going: true }
    case 409:
      // Another pod has its name now, or the pod was changed in that moment: the next look tells.
      return again('it was changed in that moment')
    case 429:
      return tooMany(error, status)
    case 403:
      // Evictions are refused there for ever; the namespace's own end deletes the pod.
      if (hasCause(status, 'NamespaceTerminating'))
        return again(`namespace ${pod.metadata.namespace} is ending and has not come to this pod yet`)
      return never(status, error)
    case 500:
      if (/more than one PodDisruptionBudget/.test(error.body)) return again('it has more than one PodDisruptionBudget')
      return again(`the API server says: ${status.message ?? error.message}`)
    default:
      return error.status > 500
        ? again(`the API server says: ${status.message ?? error.message}`)
        : never(status, error)
  }
}

/** A budget's refusal names the budget; without one the server itself is busy, and says for how long. */
function tooMany(error: ApiError, status: Status): Asked {
  const budget = status.details?.causes?.find((cause) => cause.reason === 'DisruptionBudget')
  // For a budget that is not computed yet the server asks for 10 s; its controller needs milliseconds.
  if (budget?.message !== undefined) return again(inShort(budget.message))
  const seconds = error.retryAfterSeconds ?? 1
  return again('the API server is busy', Math.max(1, seconds) * secondMs)
}

/** The API's usual sentence has to share a line with the pod's name. Any other is passed on as it is. */
function inShort(message: string): string {
  const usual = /^The disruption budget (\S+) needs (\d+) healthy pods and has (\d+) currently$/
  return message.replace(usual, 'budget $1 needs $2 healthy, has $3')
}

function again(why: string, againAfterMs = secondMs): Asked {
  return { going: false, why, againAfterMs }
}

function never(status: Status, error: ApiError): Asked {
  return again(`refused: ${status.message ?? error.message}`, Infinity)
}

interface Status {
  message?: string
  details?: { causes?: { reason?: string; message?: string }[] }
}

function hasCause(status: Status, reason: string): boolean {
  return status.details?.causes?.some((cause) => cause.reason === reason) ?? false
}

function parse(body: string): Status {
  try {
    return JSON.parse(body) as Status
  } catch {
    return {}
  }
}
