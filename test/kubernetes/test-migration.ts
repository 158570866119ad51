import { type Clock, systemClock } from '../../lib/migration/clock.ts'
import { Interrupt } from '../../lib/migration/interrupt.ts'
import { Journal } from '../../lib/migration/journal.ts'
import { type Flags, Migration } from '../../lib/migration/migration.ts'
import type { Prompt } from '../../lib/migration/prompt.ts'
import { loadSettings } from '../../lib/settings.ts'
import { listeningConsole } from '../migration/run-in-folder.ts'

/** A Migration without a run folder: its journal is in memory, its console remembers. */
export interface TestMigration {
  readonly migration: Migration
  readonly journal: Journal
  readonly lines: string[]
}

/**
 * @param more settings by their variables, over those of the runbook's cluster
 * @param journal that of a Migration before, as after a kill
 */
export function testMigration(
  more: Record<string, string> = {},
  {
    journal = Journal.inMemory(null, systemClock.now),
    dryRun = false,
    clock = systemClock,
    flags = {},
    runFolder = '',
    confirm = async () => undefined,
  }: {
    journal?: Journal
    dryRun?: boolean
    clock?: Clock
    flags?: Flags
    runFolder?: string
    confirm?: Prompt['confirm']
  } = {},
): TestMigration {
  const key = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
  const environment = { CLUSTER: 'catalyst', AGE_RECIPIENTS: key, DRAIN_TIMEOUT: '30', CONVERGE_TIMEOUT: '30', ...more }
  const console = listeningConsole()
  const never = () => undefined
  const migration = new Migration({
    settings: loadSettings(environment),
    console,
    clock,
    journal,
    interrupt: new Interrupt(never, never),
    phase: 'drain',
    runFolder,
    dryRun,
    flags,
    prompt: { secret: async () => undefined, confirm },
  })
  return { migration, journal, lines: console.lines }
}
