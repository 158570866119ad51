import { undoClaimUid, undoOverwritten, undoRestored } from '../../backup/restore/undo.ts'
import { requestUndoKind, undoRequest } from '../../gitops/request.ts'
import { undoFluxSuspend } from '../../gitops/resume-flux.ts'
import { argoUndoKind, undoArgoSync } from '../../gitops/suspend-argocd.ts'
import { fluxUndoKind } from '../../gitops/suspend-flux.ts'
import type { KubernetesApi, KubernetesObject } from '../../kubernetes/api.ts'
import { cronJobUndoKind, undoCronJobSuspend } from '../../kubernetes/cronjobs.ts'
import { cordonUndoKind, undoCordon } from '../../kubernetes/nodes.ts'
import { operatorUndoKind, undoOperatorPause } from '../../kubernetes/operators.ts'
import { scaleUndoKind, undoScale } from '../../kubernetes/scale.ts'
import type { Migration, UndoData, Undone } from '../../migration/migration.ts'
import { undoKubeconfig } from '../../talos/kubeconfig.ts'

/** What an undo may need of the world. */
export interface Effects {
  readonly migration: Migration
  /** opens an encrypted file of the run's folder */
  readonly open: (path: string) => Promise<Buffer>
  /** also over what somebody has changed since */
  readonly takeBack: boolean
}

/** Effects on the cluster, which can be had only when the old machine runs it. */
export interface ClusterEffects extends Effects {
  readonly api: KubernetesApi
}

/**
 * Where the change is, which says when it is undone and what becomes of it with the machines:
 * `machines`: undone by going back to the old one. `files`: the operator's, before the cluster is spoken to.
 * `cluster`: what the cluster's etcd holds; that of the old machine knows nothing of what was done to the new one's.
 */
export type Undo =
  | { readonly where: 'machines' }
  | { readonly where: 'files'; undo(effects: Effects, data: UndoData): Promise<Undone> }
  | { readonly where: 'cluster'; undo(effects: ClusterEffects, data: UndoData): Promise<Undone> }

/** Every kind of undo data that anything journals, and the code that undoes it. */
export const undoTable: Readonly<Record<string, Undo>> = {
  power: { where: 'machines' },
  'machine-config': { where: 'machines' },
  etcd: { where: 'machines' },
  kubeconfig: {
    where: 'files',
    undo: ({ migration, open, takeBack }, data) => undoKubeconfig(migration, data, open, takeBack),
  },
  [cordonUndoKind]: { where: 'cluster', undo: ({ api }, data) => undoCordon(api, data) },
  [scaleUndoKind]: { where: 'cluster', undo: ({ api, takeBack }, data) => undoScale(api, data, takeBack) },
  [operatorUndoKind]: { where: 'cluster', undo: ({ api, takeBack }, data) => undoOperatorPause(api, data, takeBack) },
  [cronJobUndoKind]: { where: 'cluster', undo: ({ api }, data) => undoCronJobSuspend(api, data) },
  [argoUndoKind]: { where: 'cluster', undo: ({ api, takeBack }, data) => undoArgoSync(api, data, takeBack) },
  [fluxUndoKind]: { where: 'cluster', undo: ({ api }, data) => undoFluxSuspend(api, data) },
  [requestUndoKind]: { where: 'cluster', undo: ({ api }, data) => undoRequest(api, data) },
  restored: { where: 'cluster', undo: ({ api, takeBack }, data) => undoRestored(api, data, takeBack) },
  overwritten: {
    where: 'cluster',
    undo: ({ api, migration, open, takeBack }, data) =>
      undoOverwritten(api, data, async (file) => asObject(await open(`${migration.runFolder}/${file}`)), takeBack),
  },
  'claim-uid': { where: 'cluster', undo: ({ api }, data) => undoClaimUid(api, data) },
}

/** @throws Error for a kind that has no entry: then undo data was written that nobody can read */
export function undoOf({ kind }: UndoData): Undo {
  const undo = undoTable[kind]
  if (undo) return undo
  throw new Error(`nothing undoes ${kind}: it has no entry in lib/recovery/rollback/undo-table.ts`)
}

function asObject(json: Buffer): KubernetesObject {
  return JSON.parse(json.toString('utf8')) as KubernetesObject
}
