#!/usr/bin/env node
// Finds the pinned binaries of the practice cluster, or builds them, once, with progress; with names, those: npm run binaries -- liqoctl
import { createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { type BinaryName, binaryNames, catalogue, onDemandNames } from '../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../lib/rehearsal/binaries.ts'

const console = createConsole()
try {
  const found = await ensureTools(catalogue(namesIn(process.argv.slice(2))), { progress: console })
  const rows = [...found].map(([name, { path }]) => [name, path])
  console.table('Binaries', ['name', 'path'], rows)
} catch (error) {
  process.exitCode = report(error, console)
}

function namesIn(args: readonly string[]): readonly BinaryName[] {
  if (args.length === 0) return binaryNames
  const known = [...binaryNames, ...onDemandNames]
  return args.map((arg) => {
    const name = known.find((each) => each === arg)
    if (name !== undefined) return name
    throw new OperatorError(`There is no binary ${arg}.`, { next: `One of: ${known.join(' ')}`, exitCode: 2 })
  })
}
