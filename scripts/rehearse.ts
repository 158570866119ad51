#!/usr/bin/env node
import { parseFlags } from '../lib/migration/command-line.ts'
import { consoleFor, createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import type { Scenario } from '../lib/migration/phases.ts'
import { practiseByHand } from '../lib/rehearsal/by-hand.ts'
import type { Proof } from '../lib/rehearsal/proofs.ts'
import { type RehearsalOptions, rehearseScenario, showRehearsal } from '../lib/rehearsal/rehearse.ts'
import { rehearseScenarioC, showRehearsalC } from '../lib/rehearsal/scenario-c.ts'
import { byHandOf, recoveryOf, scenarioOf, usage } from '../lib/rehearsal/usage.ts'

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
  console = consoleFor(flags)
  if (flags.help) {
    for (const line of usage) console.info(line)
    process.exit(0)
  }
  const scenario = scenarioOf(flags.scenario ?? process.env.SCENARIO ?? 'A')
  const recovery = recoveryOf(flags.recovery ?? process.env.RECOVERY ?? 'snapshot')
  const passedOn = ['json', 'quiet', 'verbose'].filter((name) => flags[name]).map((name) => `--${name}`)
  const how = { console, signal: stop.signal, keep: flags.keep === true, flags: passedOn }
  if (flags['by-hand']) await practiseByHand({ console, signal: stop.signal, scenario: byHandOf(scenario), recovery })
  else process.exitCode = await rehearse({ scenario, recovery, ...how })
} catch (error) {
  if (stop.signal.aborted) console.warn('Interrupted. The practice cluster was taken away; nothing else was touched.')
  process.exitCode = stop.signal.aborted ? 130 : report(error, console)
}
// Work that was abandoned by an interruption must not keep the process.
process.exit()

async function rehearse(options: Omit<RehearsalOptions, 'scenario'> & { scenario: Scenario }): Promise<number> {
  const { scenario, recovery } = options
  const began = Date.now()
  const proofs = scenario === 'C' ? await growing(options) : await moving({ ...options, scenario })
  const holds = proofs.every((proof) => proof.holds)
  const seconds = Math.round((Date.now() - began) / 1000)
  const way = recovery === 'gitops' ? ', rebuilt from Git,' : ''
  console.info('')
  console.info(
    `Scenario ${scenario}${way} was rehearsed in ${seconds} s. ${holds ? 'All proofs hold.' : 'Not all proofs hold.'}`,
  )
  return holds ? 0 : 1
}

async function moving(options: RehearsalOptions): Promise<Proof[]> {
  const rehearsal = await rehearseScenario(options)
  showRehearsal(rehearsal, console)
  return rehearsal.proofs
}

async function growing(options: Omit<RehearsalOptions, 'scenario' | 'recovery'>): Promise<Proof[]> {
  const rehearsal = await rehearseScenarioC(options)
  showRehearsalC(rehearsal, console)
  return rehearsal.proofs
}
