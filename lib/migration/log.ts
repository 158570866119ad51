import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createPlainConsole } from './console/plain.ts'
import type { Console } from './console.ts'
import type { RunFolder } from './run-folder.ts'

/** The log of a run, log.txt in its folder: everything that can be shown, each line with its time. */
export function logConsole(run: RunFolder): Console {
  const descriptor = openSync(join(run.path, 'log.txt'), 'a', 0o600)
  // Written synchronously: the last lines before a process ends are the ones that matter.
  const write = (text: string) => {
    try {
      writeSync(descriptor, `${new Date().toISOString()} ${text}`)
    } catch {
      // Its disk is full or gone. The log repeats what was shown; what must not be lost is in the journal, which does complain.
    }
  }
  return createPlainConsole({ write }, { quiet: false, verbose: true, colour: false })
}
