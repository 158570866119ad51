import type { KubernetesApi } from '../kubernetes/api.ts'
import { parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { type Talosctl, talosVersion } from '../talos/talosctl.ts'

/**
 * Looks whether the machine and the cluster let us in, before the first file is written.
 * @throws OperatorError or RemoteError naming the one that does not
 */
export async function verifyAccess(settings: Settings, talosctl: Talosctl, api: KubernetesApi): Promise<void> {
  await talosVersion(talosctl, { address: parseAddress(settings.nodeAddress, 'TALOS_NODE') })
  await api.get('/api/v1/namespaces/kube-system')
}
