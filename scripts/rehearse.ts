#!/usr/bin/env node
import { parseFlags } from '../lib/migration/command-line.ts'
import { type Console, createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import { practiseByHand } from '../lib/rehearsal/by-hand.ts'
import { type RehearsalOptions, rehearseScenario, showRehearsal } from '../lib/rehearsal/rehearse.ts'
import { rehearseScenarioC, showRehearsalC } from '../lib/rehearsal/scenario-c.ts'
import { recoveryOf, scenarioOf, usage } from '../lib/rehearsal/usage.ts'

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
  if (flags.help) {
    for (const line of usage) console.info(line)
    process.exit(0)
  }
  const scenario = scenarioOf(flags.scenario ?? process.env.SCENARIO ?? 'A')
  const recovery = recoveryOf(flags.recovery ?? process.env.RECOVERY ?? 'snapshot')
  const passedOn = ['json', 'quiet', 'verbose'].filter((name) => flags[name]).map((name) => `--${name}`)
  const how = { keep: flags.keep === true, flags: passedOn }
  if (flags['by-hand'] && scenario !== 'C') await practiseByHand({ console, signal: stop.signal, scenario, recovery })
  else if (scenario === 'C') process.exitCode = await rehearseC(console, how)
  else process.exitCode = await rehearse(console, { ...how, scenario, recovery })
} catch (error) {
  if (stop.signal.aborted) console.warn('Interrupted. The practice cluster was taken away; nothing else was touched.')
  process.exitCode = stop.signal.aborted ? 130 : report(error, console)
}
// Work that was abandoned by an interruption must not keep the process.
process.exit()

async function rehearse(console: Console, how: Omit<RehearsalOptions, 'console' | 'signal'>): Promise<number> {
  const began = Date.now()
  const rehearsal = await rehearseScenario({ console, signal: stop.signal, ...how })
  showRehearsal(rehearsal, console)
  const holds = rehearsal.proofs.every((proof) => proof.holds)
  const seconds = Math.round((Date.now() - began) / 1000)
  const outcome = holds ? 'All proofs hold.' : 'Not all proofs hold.'
  console.info('')
  const way = how.recovery === 'gitops' ? ', rebuilt from Git,' : ''
  console.info(`Scenario ${how.scenario}${way} was rehearsed in ${seconds} s. ${outcome}`)
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
