import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Migration } from '../migration/migration.ts'
import { isAutomatic, readArgoCd, servedArgoKinds } from './argocd.ts'
import { readFlux, servedFluxKinds } from './flux.ts'
import { suspendArgoObject } from './suspend-argocd.ts'
import { suspendFluxObject } from './suspend-flux.ts'

const stableReads = 5

/**
 * The last look before the cluster is left to itself: a long apply may have woken something up while workloads were
 * scaled down. What it woke is quieted again, until nothing has moved for five reads.
 * @param quietAgain brings to rest again what somebody has woken, and returns its names
 */
export async function staysQuiet(
  migration: Migration,
  api: KubernetesApi,
  quietAgain: () => Promise<string[]>,
): Promise<void> {
  const [fluxKinds, argoKinds] = await Promise.all([servedFluxKinds(api), servedArgoKinds(api)])
  let quietReads = 0
  await migration.wait({
    name: 'all stays quiet',
    timeoutSeconds: 180,
    everyMs: 500,
    hint: 'Somebody works against the drain. Find who writes these objects (kubectl get -o yaml --show-managed-fields), stop him, run this again.',
    probe: async () => {
      const flux = (await readFlux(api, fluxKinds)).filter((object) => !object.suspended)
      const argo = (await readArgoCd(api, argoKinds)).filter(isAutomatic)
      if (!migration.dryRun) {
        for (const object of flux) await suspendFluxObject(migration, api, object)
        for (const object of argo) await suspendArgoObject(migration, api, object)
      }
      const awake = [...flux.map(({ key }) => key), ...argo.map(({ key }) => key), ...(await quietAgain())]
      quietReads = awake.length === 0 ? quietReads + 1 : 0
      if (awake.length > 0) return { met: false, saw: `awake again: ${awake.slice(0, 5).join(', ')}` }
      return quietReads >= stableReads ? { met: true, value: undefined } : { met: false, saw: 'all quiet so far' }
    },
  })
}
