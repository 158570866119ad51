import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { openHere, whyNoLiqo } from './open.ts'
import type { Peering } from './peering.ts'
import { recordedPeering } from './record.ts'
import type { Side } from './side.ts'

interface Deployment extends KubernetesObject {
  spec: { replicas?: number }
  status?: { availableReplicas?: number }
}

/**
 * Finds the peering that migrate:unpeer wrote down in this run, and Liqo in this cluster.
 * @returns undefined, having said why in one sentence, when there is nothing to make again
 * @throws OperatorError between drain and resume, when Liqo has no node to run on
 */
export async function findRecorded(
  migration: Migration,
  api: KubernetesApi,
): Promise<{ peering: Peering; here: Side } | undefined> {
  const { settings, journal, console } = migration
  const peering = recordedPeering(migration)
  if (peering === undefined) {
    console.info('This run has recorded no Liqo peering (migrate:unpeer does): nothing to make again.')
    return undefined
  }
  if (journal.phaseState('drain') !== 'not begun' && !journal.doneAfter('resume', 'drain')) {
    throw new OperatorError('The cluster is still quiet: migrate:repeer comes after migrate:resume.', {
      means: 'Liqo’s controllers need a node to run on, and so does its gateway. Nothing was changed.',
      next: 'task migrate:resume',
    })
  }
  const installation = await openHere(settings, api)
  if (installation.state === 'running') return { peering, here: installation.side }
  console.info(whyNoLiqo(installation, settings.liqoNamespace) ?? '')
  return undefined
}

/**
 * Waits until Liqo's controllers of this cluster are available: without them liqoctl would wait for what nobody does.
 * @throws OperatorError after LIQO_TIMEOUT, naming those that are not
 */
export async function liqoRuns(migration: Migration, { api, namespace }: Side): Promise<void> {
  await migration.wait({
    name: `Liqo runs in ${namespace}`,
    timeoutSeconds: migration.settings.liqoTimeout,
    everyMs: 1000,
    hint: `Look at why: kubectl get pods -n ${namespace}. The same command goes on from there.`,
    probe: async () => {
      const deployments = await api.list<Deployment>(`/apis/apps/v1/namespaces/${namespace}/deployments`)
      const behind = deployments.filter(({ spec, status }) => (status?.availableReplicas ?? 0) < (spec.replicas ?? 1))
      if (behind.length === 0) return { met: true, value: undefined }
      return { met: false, saw: `not available: ${behind.map(({ metadata }) => metadata.name).join(', ')}` }
    },
  })
}
