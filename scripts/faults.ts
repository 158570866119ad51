#!/usr/bin/env node
import { join } from 'node:path'
import { parseFlags } from '../lib/migration/command-line.ts'
import { consoleFor, createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import { ensureBinaries } from '../lib/rehearsal/binaries.ts'
import { playGroup } from '../lib/rehearsal/faults/campaign.ts'
import { groupsOf } from '../lib/rehearsal/faults/seed.ts'
import { describe, numberOf, replay, usage } from '../lib/rehearsal/faults/show.ts'
import { projectFolder } from '../lib/settings.ts'

// What is mounted and switched on goes when this process exits.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

let console = createConsole()
let played = 0
let broken = 0
try {
  const flags = parseFlags(process.argv.slice(2), { seeds: 'string', from: 'string', keep: 'boolean' })
  console = consoleFor(flags)
  if (flags.help) {
    for (const line of usage) console.info(line)
    process.exit(0)
  }
  const binaries = await ensureBinaries({ progress: console })
  const options = { binaries, programs: join(projectFolder, 'dist'), keep: flags.keep === true }
  for (const group of groupsOf(numberOf(flags, 'from', 1), numberOf(flags, 'seeds', 20))) {
    await playGroup(group, options, (outcome) => {
      played += 1
      broken += outcome.against.length > 0 ? 1 : 0
      console.info(describe(outcome))
      if (outcome.against.length > 0) console.warn(replay(outcome))
    })
  }
  console.info(`${played} seeds, ${broken} broken`)
  process.exitCode = broken > 0 ? 1 : 0
} catch (error) {
  process.exitCode = report(error, console)
}
process.exit()
