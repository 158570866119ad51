#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { bringBack, evacuate } from '../lib/kubernetes/evacuation/evacuate.ts'
import { removeCopies } from '../lib/kubernetes/evacuation/remove.ts'
import { phase } from '../lib/migration/phase.ts'

export default await phase(
  'evacuate',
  async (migration) => {
    const api = await KubernetesApi.fromFile(migration.settings.kubeconfig)
    if (migration.flags.back) {
      await migration.step('Bring evacuated volumes back', () => bringBack(migration, api))
    } else if (migration.flags.remove) {
      await migration.step('Remove copies that were brought back', () => removeCopies(migration, api))
    } else {
      await migration.step('Copy local volumes', () => evacuate(migration, api))
    }
    api.close()
  },
  { back: 'boolean', remove: 'boolean' },
)
