import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Console } from '../console.ts'
import type { RunFolder } from '../run-folder.ts'
import { createPlainConsole } from './plain.ts'

/** Writes what is shown into the run's log too; synchronously, for the last lines before a process ends are the ones that matter. */
export function logConsole(run: RunFolder): Console {
  const descriptor = openSync(join(run.path, 'log.txt'), 'a', 0o600)
  const write = (text: string) => {
    try {
      writeSync(descriptor, `${new Date().toISOString()} ${text}`)
    } catch {
      // Its disk is full or gone. The log repeats what was shown; what must not be lost is in the journal, which does complain.
    }
  }
  const out = { write }
  return createPlainConsole(out, { quiet: false, verbose: true, colour: false })
}
