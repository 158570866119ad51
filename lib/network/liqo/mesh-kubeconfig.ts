import { existsSync } from 'node:fs'
import { KubernetesApi } from '../../kubernetes/api.ts'
import { pointKubeconfigs } from '../../kubernetes/kubeconfig-server.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { parseAddress } from '../addresses.ts'

/** An address that has become another one. */
export interface MovedAddress {
  readonly from: string
  readonly to: string
}

/**
 * Points the kubeconfig with which the other cluster reaches this one (LIQO_MESH_KUBECONFIG) to the new address, and tries it. Its undo is
 * undoKubeconfigServer. Without the setting there is nothing to do.
 * @throws OperatorError when the file is not there, or this cluster does not answer through it within API_TIMEOUT
 */
export async function rewriteMeshKubeconfig(migration: Migration, moves: readonly MovedAddress[]): Promise<void> {
  const { liqoMeshKubeconfig: path, apiTimeout } = migration.settings
  if (path === undefined) {
    migration.console.info('LIQO_MESH_KUBECONFIG is not set: no kubeconfig of the mesh is looked at.')
    return
  }
  if (!existsSync(path)) {
    throw new OperatorError(`There is no kubeconfig of the mesh at ${path}.`, {
      means: 'The other cluster would go on knocking at the old address. Nothing was changed.',
      next: 'Correct LIQO_MESH_KUBECONFIG, or leave it empty.',
    })
  }
  const parsed = moves.map(({ from, to }) => ({
    from: parseAddress(from, 'the old address'),
    to: parseAddress(to, 'the new address'),
  }))
  if (parsed.length > 0) await pointKubeconfigs(migration, [path], parsed)
  const api = await KubernetesApi.fromFile(path)
  await migration.wait({
    name: `the API answers through ${path} (${api.server})`,
    timeoutSeconds: apiTimeout,
    everyMs: 1000,
    hint: `Try it: kubectl --kubeconfig ${path} version. If it can be reached from the other cluster only, leave LIQO_MESH_KUBECONFIG empty and set its server there.`,
    probe: async () => {
      const { gitVersion } = await api.get<{ gitVersion: string }>('/version')
      return { met: true, value: gitVersion, saw: gitVersion }
    },
  })
  api.close()
}
