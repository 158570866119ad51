import type { Undone } from '../migration/migration.ts'
import type { KubernetesApi } from './api.ts'
import { cronJobUndoKind, undoCronJobSuspend } from './cronjobs.ts'
import { cordonUndoKind, undoCordon } from './nodes.ts'
import { operatorUndoKind, undoOperatorPause } from './operators.ts'
import { scaleUndoKind, undoScale } from './scale.ts'

/** How each kind of change that this domain journals is taken back, for whoever undoes a run as a whole. */
export const kubernetesUndo: Readonly<Record<string, (api: KubernetesApi, undo: unknown) => Promise<Undone>>> = {
  [cordonUndoKind]: undoCordon,
  [cronJobUndoKind]: undoCronJobSuspend,
  [operatorUndoKind]: undoOperatorPause,
  [scaleUndoKind]: undoScale,
}
