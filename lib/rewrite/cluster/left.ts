import type { KubernetesApi } from '../../kubernetes/api.ts'
import type { Migration } from '../../migration/migration.ts'
import { mappingsFrom } from '../mapping.ts'
import { findIn, spellingsOf } from '../spellings.ts'
import { settledSurvey } from './settle.ts'
import { showSurvey } from './show.ts'

/** In scenario B: lists what in the cluster holds the old address at the end of the evening. */
export async function showWhatIsLeft(migration: Migration, api: KubernetesApi): Promise<void> {
  const { settings } = migration
  if (settings.scenario !== 'B') return
  const spellings = mappingsFrom({}, settings).flatMap(spellingsOf)
  const survey = await settledSurvey(migration, api, (text) => findIn(text, spellings).hits)
  showSurvey(migration, survey, settings.nodeAddress)
}
