import { loadSettings, type Settings } from '../settings.ts'
import { parseFlags } from './command-line.ts'
import { type Console, consoleFor, createConsole } from './console.ts'
import { evening } from './evening.ts'
import { Journal } from './journal.ts'
import { takeLock } from './lock.ts'
import { endOf, notify } from './notify.ts'
import { verifyScenario } from './order.ts'
import { asProgram, isProgram, type PhaseScript, report, runPhase, type Surroundings, thisProcess } from './phase.ts'
import { createRun, currentRun } from './run-folder.ts'

/** A place in the chain where the operator has something to do; `tell` says what, and `inShort` to one who is elsewhere. */
export interface Pause {
  readonly pauseBefore: string
  readonly inShort: string
  readonly tell: (settings: Settings, console: Console) => void
}

/**
 * Runs the scenario's phases of those given one after the other under one lock, and stops at the first that does not end well. Called again, it goes on:
 * what this run has completed is passed over, except for the last, which looks anew.
 * @param name the script's name; the chain runs only when the process was started as that
 */
export async function chain(name: string, links: readonly (PhaseScript | Pause)[]): Promise<void> {
  if (isProgram(name)) await asProgram(() => runChain(name, links, thisProcess))
}

/** As `chain`, returning the exit code. */
export async function runChain(
  name: string,
  links: readonly (PhaseScript | Pause)[],
  surroundings: Surroundings,
): Promise<number> {
  let console = createConsole({ json: surroundings.args.includes('--json') })
  try {
    const flags = parseFlags(surroundings.args)
    console = surroundings.console ?? consoleFor(flags)
    const settings = loadSettings(surroundings.environment)
    verifyScenario(settings)
    if (flags['dry-run']) return await runLinks(links, settings, console, surroundings)
    const lock = takeLock(settings, name, surroundings.clock.now)
    try {
      beginRun(settings, surroundings)
      const code = await runLinks(links, settings, console, { ...surroundings, locked: true })
      await notify(settings, endOf(name, code, settings), console)
      return code
    } finally {
      lock.release()
    }
  } catch (error) {
    return report(error, console)
  }
}

async function runLinks(
  links: readonly (PhaseScript | Pause)[],
  settings: Settings,
  console: Console,
  surroundings: Surroundings,
) {
  const names = new Set(evening(settings.scenario).map(({ name }) => name))
  const own = links.filter((link) => names.has('tell' in link ? link.pauseBefore : link.name))
  const last = own.at(-1)
  for (const link of own) {
    if ('tell' in link) {
      if (!isDone(link.pauseBefore, settings, surroundings)) await pause(link, settings, console, surroundings)
      continue
    }
    if (link !== last && isDone(link.name, settings, surroundings)) continue
    const code = await runPhase(link, surroundings)
    if (code !== 0) return code
  }
  return 0
}

async function pause(at: Pause, settings: Settings, console: Console, { locked }: Surroundings): Promise<void> {
  at.tell(settings, console)
  // A dry run pauses for nobody.
  if (locked) await notify(settings, { title: `${settings.clusterName}: it is your turn`, text: at.inShort }, console)
}

function beginRun(settings: Settings, { clock }: Surroundings): void {
  const current = currentRun(settings)
  if (current === null || Journal.inMemory(current.journalPath, clock.now).ended) createRun(settings, clock.now)
}

function isDone(name: string, settings: Settings, { clock }: Surroundings): boolean {
  const current = currentRun(settings)
  return current !== null && Journal.inMemory(current.journalPath, clock.now).phaseState(name) === 'done'
}
