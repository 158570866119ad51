#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { backupFolder } from '../lib/backup/begin.ts'
import { backupEvidence } from '../lib/backup/evidence.ts'
import { readManifest } from '../lib/backup/manifest.ts'
import { volumeOutcomes } from '../lib/kubernetes/evacuation/outcomes.ts'
import { earlierRuns } from '../lib/migration/earlier-runs.ts'
import { messageOf } from '../lib/migration/errors.ts'
import { phase } from '../lib/migration/phase.ts'
import { outagesIn } from '../lib/report/outage.ts'
import { rehearsedOf } from '../lib/report/rehearsed.ts'
import { storyOf, writeReport } from '../lib/report/write.ts'
import { beforeAndAfter } from '../lib/verify/figures.ts'
import { storedBaseline } from '../lib/verify/stored-baseline.ts'
import { listsOf, readPreflight, readVerdict } from '../lib/verify/verdict.ts'

export default await phase(
  'report',
  async (migration) => {
    const { journal, settings, console, flags, runFolder } = migration
    const story = storyOf(migration)
    const unlessGone = <T>(what: string, read: () => Promise<T>): Promise<T | null> =>
      read().catch((error: unknown) => {
        console.warn(`The report is without ${what}: ${messageOf(error)}`)
        return null
      })
    const backup = backupFolder(migration)
    const inBackup = async <T>(what: string, read: (folder: string) => Promise<T>) =>
      backup === undefined ? null : unlessGone(what, () => read(backup))

    const before = await inBackup('the state before', () => storedBaseline(migration))
    const manifest = await inBackup("the backup's versions", readManifest)
    const inventory = await inBackup('the volumes', (folder) => readFile(join(folder, 'volumes.json'), 'utf8'))
    const [verdict, preflight] = await Promise.all([readVerdict(runFolder), readPreflight(runFolder)])

    const facts = {
      clusterName: settings.clusterName,
      story,
      outages: outagesIn(journal.records),
      figures: beforeAndAfter(before, verdict?.now ?? null),
      volumes: inventory === null ? [] : volumeOutcomes(inventory, journal, settings),
      verdict: verdict && { at: verdict.at, fine: verdict.fine, lists: listsOf(verdict) },
      preflight: preflight && { at: preflight.at, fine: preflight.fine, lists: listsOf(preflight) },
      evidence: manifest && backup ? backupEvidence(backup, manifest) : [],
      rehearsed: rehearsedOf(earlierRuns(settings.earlierRunsDir), story.scenario),
    }
    const file = await writeReport(migration, facts, typeof flags.out === 'string' ? resolve(flags.out) : undefined)
    console.info(`The report: ${file} (one file without secrets, for any browser).`)
  },
  { out: 'string' },
)
