#!/usr/bin/env node
import { encryptToFile } from '../lib/backup/encrypt-to-file.ts'
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { findLeaving, leaveControlPlane } from '../lib/recovery/leave.ts'
import { waysIn } from '../lib/talos/join/endpoints.ts'
import { memberStates } from '../lib/talos/join/members.ts'
import { refuseToEndAtTwo } from '../lib/talos/join/quorum.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'

export default await phase(
  'leave',
  async (migration) => {
    const { settings } = migration
    const talosctl = await Talosctl.open(settings)
    const leaving = await findLeaving(migration, talosctl)
    const api = await KubernetesApi.fromString(leaving.kubeconfig)
    const tools = { talosctl, api, encrypt: await encryptToFile(migration) }

    await leaveControlPlane(migration, tools, leaving)

    api.close()
    if (!migration.dryRun) refuseToEndAtTwo(await memberStates(talosctl, await waysIn(settings)))
  },
  { reset: 'boolean', 'even-the-endpoint': 'boolean' },
)
