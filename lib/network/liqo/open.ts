import { KubernetesApi } from '../../kubernetes/api.ts'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import type { Settings } from '../../settings.ts'
import { type Installation, lookForLiqo, type Side } from './side.ts'

type Needed = Pick<Settings, 'kubeconfig' | 'liqoNamespace' | 'liqoRemoteKubeconfig' | 'liqoRemoteNamespace'>

/** Looks for Liqo in this cluster. */
export function openHere({ kubeconfig, liqoNamespace }: Needed, api: KubernetesApi): Promise<Installation> {
  return lookForLiqo({ name: 'here', api, kubeconfig, namespace: liqoNamespace })
}

/** Why there is nothing for Liqo to do here, in one sentence; undefined when it runs. */
export function whyNoLiqo(installation: Installation, namespace: string): string | undefined {
  if (installation.state === 'absent')
    return `Liqo is not installed in this cluster (namespace ${namespace}): nothing to do.`
  if (installation.state === 'running') return undefined
  return `Liqo is scaled to zero in this cluster (Deployment ${namespace}/${installation.deployment}): its peerings are left as they are.`
}

/**
 * Opens the other cluster with LIQO_REMOTE_KUBECONFIG.
 * @param whatIsLeft what can be done without it, for the error's last line
 * @throws OperatorError when the setting is missing, the cluster does not answer, or Liqo does not run in it
 */
export async function openThere(settings: Needed, whatIsLeft: string): Promise<Side> {
  const { liqoRemoteKubeconfig: kubeconfig, liqoRemoteNamespace: namespace } = settings
  if (kubeconfig === undefined) {
    throw new OperatorError(
      'Liqo is peered with another cluster, and LIQO_REMOTE_KUBECONFIG names no kubeconfig of it.',
      {
        means: 'A peering is torn down and made on both sides. Nothing was changed.',
        next: `Set LIQO_REMOTE_KUBECONFIG. ${whatIsLeft}`,
      },
    )
  }
  const api = await KubernetesApi.fromFile(kubeconfig)
  const there = await lookForLiqo({ name: 'there', api, kubeconfig, namespace }).catch((error: unknown) => {
    if (error instanceof OperatorError) throw error
    throw new OperatorError(`The other cluster cannot be reached: ${messageOf(error)}`, {
      means: 'A peering is torn down and made on both sides, and that one cannot be reached. Nothing was changed.',
      next: `Bring it, or the way to it, up and type the same again. ${whatIsLeft}`,
      cause: error,
    })
  })
  if (there.state === 'running') return there.side
  const what = there.state === 'absent' ? 'is not installed' : 'is scaled to zero'
  throw new OperatorError(`Liqo ${what} in the other cluster at ${api.server} (namespace ${namespace}).`, {
    means: 'Nobody there would take the peering down, or make it. Nothing was changed.',
    next: `Correct LIQO_REMOTE_NAMESPACE, or start Liqo there. ${whatIsLeft}`,
  })
}
