#!/usr/bin/env node
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { excusedLines } from '../lib/rehearsal/proofs.ts'
import { rehearseScenarioA, showRehearsal } from '../lib/rehearsal/rehearse.ts'

const args = process.argv.slice(2)
let console = createConsole({ json: args.includes('--json') })
const began = Date.now()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () =>
    stop.abort(new OperatorError('The rehearsal was interrupted; the practice cluster is taken away.')),
  )
}

try {
  const flags = parseFlags(args, { scenario: 'string', keep: 'boolean' })
  console = createConsole(flags)
  const scenario = String(flags.scenario ?? process.env.SCENARIO ?? 'A').toUpperCase()
  if (scenario !== 'A') throw notYet(scenario)
  const passedOn = ['json', 'quiet', 'verbose'].filter((name) => flags[name]).map((name) => `--${name}`)
  const rehearsal = await rehearseScenarioA({
    console,
    signal: stop.signal,
    keep: flags.keep === true,
    flags: passedOn,
  })
  showRehearsal(rehearsal, console)
  console.info('')
  console.info('What may differ, and was not compared:')
  for (const line of excusedLines(rehearsal.before)) console.info(`  ${line}`)
  const holds = rehearsal.proofs.every((proof) => proof.holds)
  const seconds = Math.round((Date.now() - began) / 1000)
  console.info('')
  console.info(holds ? `Scenario A was rehearsed in ${seconds} s. Nothing was lost.` : 'Not all proofs hold.')
  process.exitCode = holds ? 0 : 1
} catch (error) {
  process.exitCode = stop.signal.aborted ? 130 : report(error, console)
  if (stop.signal.aborted) console.info('Interrupted. The practice cluster was taken away.')
}

function notYet(scenario: string): OperatorError {
  const known = ['A', 'B', 'C'].includes(scenario)
  return new OperatorError(known ? `Scenario ${scenario} is not yet rehearsed.` : `There is no scenario ${scenario}.`, {
    means: 'Scenario A is: new hardware, same address.',
    next: 'npm run rehearse -- --scenario A',
    exitCode: 2,
  })
}
