import { ApiError, type KubernetesApi } from './api.ts'
import { fullName, type Pod } from './kinds.ts'
import { podPath } from './pods.ts'

/** What the Eviction API said: the pod is going (or gone), or it may not go now. */
export type Evicted = { going: true } | { going: false; why: string }

/**
 * Asks for one eviction.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 * @param gracePeriodSeconds the pod's own if not given
 * @throws ApiError for whatever a retry does not help against
 */
export async function evictPod(api: KubernetesApi, pod: Pod, gracePeriodSeconds?: number): Promise<Evicted> {
  const { name, namespace, uid } = pod.metadata
  const deleteOptions = {
    // The name may meanwhile belong to a StatefulSet's replacement on another node.
    preconditions: { uid },
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  }
  try {
    await api.create(`${podPath(pod)}/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace },
      deleteOptions,
    })
    return { going: true }
  } catch (error) {
    if (error instanceof ApiError) return understand(error, pod)
    throw error
  }
}

function understand(error: ApiError, pod: Pod): Evicted {
  if (error.status === 404 || error.status === 409) return { going: true }
  if (error.status === 429) return { going: false, why: whyTooMany(error.body) }
  if (error.status === 403 && hasCause(error.body, 'NamespaceTerminating')) {
    // Evictions are refused there for ever, and the namespace's own end deletes the pod.
    if (pod.metadata.deletionTimestamp) return { going: true }
    return { going: false, why: `namespace ${pod.metadata.namespace} is terminating and has not come to this pod yet` }
  }
  if (error.status === 500 && /more than one PodDisruptionBudget/.test(error.body)) {
    return { going: false, why: `${fullName(pod)} has more than one PodDisruptionBudget` }
  }
  throw error
}

interface Status {
  message?: string
  details?: { causes?: { reason?: string; message?: string }[] }
}

function whyTooMany(body: string): string {
  const status = parse(body)
  const budget = status.details?.causes?.find((cause) => cause.reason === 'DisruptionBudget')
  return budget?.message ?? status.message ?? 'the API server asks to come back later'
}

function hasCause(body: string, reason: string): boolean {
  return parse(body).details?.causes?.some((cause) => cause.reason === reason) ?? false
}

function parse(body: string): Status {
  try {
    return JSON.parse(body) as Status
  } catch {
    return {}
  }
}
