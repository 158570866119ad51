import { existsSync } from 'node:fs'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { OperatorError, RemoteError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'

const patienceMs = 10_000

/**
 * The cluster, if it can be asked. A repository can be rewritten without one; what it holds is then looked at another time.
 * @returns undefined after saying why not
 */
export async function clusterInReach({ settings, console }: Migration): Promise<KubernetesApi | undefined> {
  if (!existsSync(settings.kubeconfig)) {
    console.warn(`The cluster is not looked into: there is no kubeconfig ${settings.kubeconfig}.`)
    return undefined
  }
  try {
    // It takes longer to load than a repository takes to be searched.
    const { KubernetesApi } = await import('../../kubernetes/api.ts')
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    await api.raw('/version', {}, { timeoutMs: patienceMs })
    return api
  } catch (error) {
    if (!(error instanceof OperatorError || error instanceof RemoteError)) throw error
    console.warn(
      `The cluster is not looked into: ${error.message} When it answers, the same command again lists what in it holds an old address.`,
    )
    return undefined
  }
}
