#!/usr/bin/env node
import { KubernetesApi } from '../lib/kubernetes/api.ts'
import { phase } from '../lib/migration/phase.ts'
import { fenceNewMachine, staysFenced } from '../lib/recovery/rollback/fence.ts'
import { takeJoinedOut } from '../lib/recovery/rollback/joined.ts'
import { refuseLoss } from '../lib/recovery/rollback/loss.ts'
import { bringOldMachineBack } from '../lib/recovery/rollback/old-machine.ts'
import {
  beginRollback,
  finishRollback,
  settleMachines,
  undoInside,
  undoOutside,
  undoPeering,
} from '../lib/recovery/rollback/rollback.ts'
import { showWayBack } from '../lib/recovery/rollback/show.ts'
import { wayBack } from '../lib/recovery/rollback/way-back.ts'
import { Talosctl } from '../lib/talos/talosctl.ts'
import resume from './resume.ts'

export default await phase(
  'rollback',
  async (migration) => {
    const { settings, journal, console } = migration
    const way = wayBack(journal)
    if (way.changes.length === 0 && !journal.rollbackUnderWay) {
      console.info(
        'Nothing was changed that could be undone: the cluster, the machines and your files are as they were.',
      )
      return
    }
    showWayBack(migration, way)
    const talosctl = await Talosctl.open(settings)
    await refuseLoss(migration, talosctl, way)
    if (migration.dryRun) return
    await beginRollback(migration, way)

    await migration.step('Take out of the control plane what has joined it', () =>
      takeJoinedOut(migration, talosctl, way),
    )
    await migration.step('Go back to the old machine', async () => {
      // The new one first: two etcds of one cluster must never run.
      await fenceNewMachine(migration, talosctl, way)
      await bringOldMachineBack(migration, talosctl, way)
    })
    await migration.step('Put files back', () => undoOutside(migration, talosctl, 'files'))
    await migration.step('Undo what was done to other machines', () => undoOutside(migration, talosctl, 'nodes'))

    // Through resume's own steps, which know the order in which things come back.
    await resume.body(migration)
    const api = await KubernetesApi.fromFile(settings.kubeconfig)
    await migration.step('Undo what else was done to the cluster', () => undoInside(migration, talosctl, api))
    await migration.step('Make peerings again', () => undoPeering(migration, talosctl, api))
    await migration.step('Undo what was done in the cloud', () => undoOutside(migration, talosctl, 'cloud'))
    api.close()
    await migration.step('See that the new machine stays off', async () => {
      await staysFenced(talosctl, way)
      await settleMachines(migration)
    })
    finishRollback(migration)
  },
  { 'accept-loss': 'boolean', 'take-back': 'boolean' },
)
