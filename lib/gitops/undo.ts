import type { KubernetesApi } from '../kubernetes/api.ts'
import type { Undone } from '../migration/migration.ts'
import { requestUndoKind, undoFluxSuspend, undoReconcileRequest } from './resume-flux.ts'
import { argoUndoKind, undoArgoSync } from './suspend-argocd.ts'
import { fluxUndoKind } from './suspend-flux.ts'

/** How each kind of change that this domain journals is taken back, for whoever undoes a run as a whole. */
export const gitopsUndo: Readonly<Record<string, (api: KubernetesApi, undo: unknown) => Promise<Undone>>> = {
  [fluxUndoKind]: undoFluxSuspend,
  [requestUndoKind]: undoReconcileRequest,
  [argoUndoKind]: undoArgoSync,
}
