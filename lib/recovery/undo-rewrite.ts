import { kubeconfigServerUndoKind, undoKubeconfigServer } from '../kubernetes/kubeconfig-server.ts'
import type { Migration } from '../migration/migration.ts'
import { hostsUndoKind, type Sudo, undoHosts } from '../network/rewrite-hosts.ts'
import { rewriteKind } from '../rewrite/apply.ts'
import { inClusterUndoKind, undoInCluster } from '../rewrite/cluster/change.ts'
import { clusterInReach } from '../rewrite/cluster/reach.ts'
import { takeBackRepository, type Undoing } from '../rewrite/take-back.ts'
import { talosconfigUndoKind, undoTalosconfig } from '../talos/talosconfig-address.ts'
import { Talosctl } from '../talos/talosctl.ts'

/** How everything that migrate:rewrite-ip changes is taken back. */
export function undoingOfRewrite(migration: Migration, sudo: Sudo): Undoing {
  const { settings, console, prompt, runFolder } = migration
  return {
    [rewriteKind]: takeBackRepository,
    [talosconfigUndoKind]: async (change) => {
      const talosconfig = String(change.undo?.path)
      return undoTalosconfig(await Talosctl.open({ ...settings, talosconfig }), settings, change)
    },
    [kubeconfigServerUndoKind]: undoKubeconfigServer,
    [hostsUndoKind]: (change) => undoHosts({ console, prompt, runFolder, sudo }, change),
    [inClusterUndoKind]: async (change) => {
      const api = await clusterInReach(migration)
      if (api === undefined) return 'conflict: the cluster cannot be asked'
      return undoInCluster(api, change).finally(() => api.close())
    },
  }
}
