#!/usr/bin/env node
// Finds the pinned binaries of the practice cluster, or builds them, once, with progress.
import { createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import { ensureBinaries } from '../lib/rehearsal/binaries.ts'

const console = createConsole()
try {
  const binaries = await ensureBinaries({ progress: console })
  console.table('Binaries', ['name', 'path'], Object.entries(binaries))
} catch (error) {
  process.exitCode = report(error, console)
}
