#!/usr/bin/env node
import { parseFlags } from '../lib/migration/command-line.ts'
import { type Console, createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { practiseByHand } from '../lib/rehearsal/by-hand.ts'
import { type RehearsalOptions, rehearseScenarioA, showRehearsal } from '../lib/rehearsal/rehearse.ts'
import { rehearseScenarioC, showRehearsalC } from '../lib/rehearsal/scenario-c.ts'

const args = process.argv.slice(2)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second time at once: what is on is switched off when this process exits.
    if (stop.signal.aborted) process.exit(130)
    stop.abort(new Error(signal))
  })
}

let console = createConsole({ json: args.includes('--json') })
try {
  const flags = parseFlags(args, { scenario: 'string', recovery: 'string', keep: 'boolean', 'by-hand': 'boolean' })
  console = createConsole(flags)
  if (flags.help) explain(console)
  const scenario = String(flags.scenario ?? process.env.SCENARIO ?? 'A').toUpperCase()
  if (scenario !== 'A' && scenario !== 'C') throw notYet(scenario)
  const recovery = recoveryOf(flags.recovery ?? process.env.RECOVERY ?? 'snapshot')
  const passedOn = ['json', 'quiet', 'verbose'].filter((name) => flags[name]).map((name) => `--${name}`)
  if (flags['by-hand']) await practiseByHand({ console, signal: stop.signal, recovery })
  else if (scenario === 'C') process.exitCode = await rehearseC(console, { keep: flags.keep === true, flags: passedOn })
  else process.exitCode = await rehearse(console, { keep: flags.keep === true, recovery, flags: passedOn })
} catch (error) {
  if (stop.signal.aborted) console.warn('Interrupted. The practice cluster was taken away; nothing else was touched.')
  process.exitCode = stop.signal.aborted ? 130 : report(error, console)
}
// Work that was abandoned by an interruption must not keep the process.
process.exit()

async function rehearse(console: Console, how: Pick<RehearsalOptions, 'keep' | 'recovery' | 'flags'>): Promise<number> {
  const began = Date.now()
  const rehearsal = await rehearseScenarioA({ console, signal: stop.signal, ...how })
  showRehearsal(rehearsal, console)
  const holds = rehearsal.proofs.every((proof) => proof.holds)
  const seconds = Math.round((Date.now() - began) / 1000)
  const outcome = holds ? 'All proofs hold.' : 'Not all proofs hold.'
  console.info('')
  const way = how.recovery === 'gitops' ? ', rebuilt from Git,' : ''
  console.info(`Scenario A${way} was rehearsed in ${seconds} s. ${outcome}`)
  return holds ? 0 : 1
}

async function rehearseC(console: Console, how: Pick<RehearsalOptions, 'keep' | 'flags'>): Promise<number> {
  const began = Date.now()
  const rehearsal = await rehearseScenarioC({ console, signal: stop.signal, ...how })
  showRehearsalC(rehearsal, console)
  const holds = rehearsal.proofs.every((proof) => proof.holds)
  const seconds = Math.round((Date.now() - began) / 1000)
  console.info('')
  console.info(`Scenario C was rehearsed in ${seconds} s. ${holds ? 'All proofs hold.' : 'Not all proofs hold.'}`)
  return holds ? 0 : 1
}

function explain(console: Console): never {
  console.info(
    'npm run rehearse -- [--scenario A] [--recovery snapshot|gitops] [--keep] [--by-hand] [--json] [--quiet] [--verbose]',
  )
  console.info('Builds a practice cluster on loopback addresses, migrates it, and proves that nothing was lost.')
  console.info('--recovery gitops rebuilds it from Git and a backup, as if no snapshot could be had.')
  console.info(
    '--keep leaves its folder behind: backup, journal, logs of the machines. Nothing outside of it is changed.',
  )
  console.info(
    '--by-hand leaves the migrating to you: it says what to export, and swaps the hardware when you have shut down.',
  )
  process.exit(0)
}

function recoveryOf(value: string | boolean): RehearsalOptions['recovery'] {
  if (value === 'snapshot' || value === 'gitops') return value
  throw new OperatorError(`There is no recovery ${value}.`, {
    means: 'Nothing was started. The new machine gets its state from a snapshot, or is rebuilt from Git.',
    next: 'npm run rehearse -- --recovery gitops',
    exitCode: 2,
  })
}

function notYet(scenario: string): OperatorError {
  const known = ['B', 'C'].includes(scenario)
  return new OperatorError(known ? `Scenario ${scenario} is not yet rehearsed.` : `There is no scenario ${scenario}.`, {
    means: 'Nothing was started. What can be rehearsed is A: new hardware, same address.',
    next: 'npm run rehearse -- --scenario A',
    exitCode: 2,
  })
}
