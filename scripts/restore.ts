#!/usr/bin/env node
import { basename } from 'node:path'
import { chooseBackup } from '../lib/backup/choose.ts'
import { parseWishes, restoreFlags } from '../lib/backup/restore/flags.ts'
import { restoreWishes } from '../lib/backup/restore/run.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'

export default await phase(
  'restore',
  async (migration) => {
    const wishes = parseWishes(migration.flags)
    const { folder } = await chooseBackup(migration, wishes.backup)
    const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
    // What is selected is part of the title: another selection is another step.
    await migration.step(`Restore ${wishes.described} from ${basename(folder)}, conflict ${wishes.conflict}`, () =>
      restoreWishes(migration, api, folder, wishes),
    )
    api.close()
  },
  restoreFlags,
)
