import { chmodSync, existsSync, mkdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Settings } from '../settings.ts'
import { OperatorError } from './errors.ts'
import { Journal } from './journal.ts'

/**
 * Each migration has a folder of its own, runs/ID under OUTPUT_DIR; `current` points to the one that is under way.
 * Nothing secret is ever written there.
 */
export interface RunFolder {
  readonly id: string
  readonly path: string
  readonly journalPath: string
}

/** The run that `current` points to, or null. */
export function currentRun(settings: Settings): RunFolder | null {
  const link = join(settings.outputDir, 'current')
  try {
    const path = join(settings.outputDir, readlinkSync(link))
    return existsSync(join(path, 'journal.jsonl')) ? runFolder(path) : null
  } catch {
    return null
  }
}

/** Creates the folder of a new run, its journal with the first record, and only then points `current` to it. */
export function createRun(settings: Settings, now: () => Date): RunFolder {
  const id = `${now().toISOString().replace(/[-:]/g, '').replace('.', '')}-${settings.cluster}`
  const runs = join(settings.outputDir, 'runs')
  mkdirSync(runs, { recursive: true, mode: 0o700 })
  chmodSync(settings.outputDir, 0o700)
  const run = runFolder(join(runs, id))
  mkdirSync(run.path, { mode: 0o700 })
  const journal = Journal.open(run.journalPath, now)
  journal.append({ type: 'run', id, cluster: settings.cluster, scenario: settings.scenario })
  journal.close()
  const fresh = join(settings.outputDir, `current.${process.pid}`)
  symlinkSync(join('runs', id), fresh)
  renameSync(fresh, join(settings.outputDir, 'current'))
  return run
}

/** @throws OperatorError when the run under way is of another cluster or another scenario */
export function verifySameMigration(settings: Settings, journal: Journal, run: RunFolder): void {
  const first = journal.records.find((record) => record.type === 'run')
  if (first?.type !== 'run') return
  if (first.cluster === settings.cluster && first.scenario === settings.scenario) return
  throw new OperatorError(
    `The run under way (${run.path}) is of CLUSTER=${first.cluster} SCENARIO=${first.scenario}, not of CLUSTER=${settings.cluster} SCENARIO=${settings.scenario}.`,
    {
      means: 'A run belongs to one cluster and one scenario: two in one folder could not be told apart.',
      next: `Go on with that one (CLUSTER=${first.cluster} SCENARIO=${first.scenario}), or give this one its own OUTPUT_DIR.`,
      exitCode: 2,
    },
  )
}

function runFolder(path: string): RunFolder {
  return { id: basename(path), path, journalPath: join(path, 'journal.jsonl') }
}
