import type { ChosenBackup } from '../../backup/choose.ts'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Settings } from '../../settings.ts'
import type { JoinView } from '../../talos/join/look.ts'
import type { Talosctl } from '../../talos/talosctl.ts'
import type { Check } from '../check.ts'

/** What is known before a machine joins. */
export interface JoinContext extends JoinView {
  readonly settings: Settings
  readonly now: Date
  readonly talosctl: Talosctl
  readonly api: KubernetesApi
  /** the whole backups in BACKUP_DIR, oldest first */
  readonly backups: readonly ChosenBackup[]
}

export type JoinCheck = Check<JoinContext>
