import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Address } from '../network/addresses.ts'
import type { MachineConfig } from '../talos/machine-config.ts'
import type { Talosctl } from '../talos/talosctl.ts'

/** One of the two ways to give the new machine the cluster's state, by its steps: a snapshot of etcd, or a backup and Git. */
export interface Recovery {
  /** Everything that can be checked before the new machine is touched. */
  check(config: MachineConfig): Promise<void>
  /** etcd runs on the new machine, as one healthy voter. `runs` waits until the machine itself runs with its config. */
  startEtcd(talosctl: Talosctl, address: Address, runs: () => Promise<unknown>): Promise<void>
  /** @throws OperatorError when the API is not that of the cluster that was to come up */
  verifyCluster(api: KubernetesApi, address: Address): Promise<void>
  /** What is left to do when control plane and Node are ready. */
  complete(api: KubernetesApi): Promise<void>
}
