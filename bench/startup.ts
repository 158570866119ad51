#!/usr/bin/env node
// How long it takes from a typed command to its first word, beside `kubectl version --client`; and how much of it is our own, beside a Node that does nothing.
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { findOnPath } from '../lib/migration/executables.ts'
import { report } from '../lib/migration/phase.ts'
import { catalogue } from '../lib/rehearsal/binaries/catalogue.ts'
import { ensureTools } from '../lib/rehearsal/binaries.ts'
import { projectFolder } from '../lib/settings.ts'
import { roundsOf } from './rounds.ts'
import { type Case, casesOf, nothing } from './startup/result.ts'
import { type Command, type Start, start } from './startup/start.ts'

const console = createConsole({ out: process.stderr })
try {
  const flags = parseFlags(process.argv.slice(2), { rounds: 'string' })
  if (flags.help)
    console.info('npm run bench:startup -- [--rounds 9] [--json]. kubectl is that of PATH, or of KUBECTL.')
  else await bench(roundsOf('startup', flags.rounds, 9), flags.json === true)
} catch (error) {
  process.exitCode = report(error, console)
}

async function bench(rounds: number, json: boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-startup-'))
  try {
    const commands = await commandsIn(folder)
    const taken = new Map<string, Start[]>(commands.map(({ name }) => [name, []]))
    // In turns, so that what else the machine does meets all. The first round warms the caches, and builds what is not built.
    for (let round = 0; round <= rounds; round++) {
      for (const command of commands) {
        const took = await start(command)
        if (round > 0) taken.get(command.name)?.push(took)
      }
      console.info(`round ${round} of ${rounds}`)
    }
    show(casesOf(taken), rounds, json)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A cluster that is nowhere: each says what it has to say of its own accord, and waits for nobody. */
async function commandsIn(folder: string): Promise<Command[]> {
  const task = (await ensureTools(catalogue(['task']), { progress: console })).get('task')?.path ?? 'task'
  const kubectl = process.env.KUBECTL ?? (await findOnPath('kubectl', process.env.PATH ?? ''))
  if (kubectl === undefined) console.warn('There is no kubectl (set KUBECTL, or PATH): it is left out.')
  const environment = {
    ...process.env,
    ...{ CLUSTER: 'catalyst', HOMELAB_DIR: folder, OUTPUT_DIR: join(folder, 'output'), KUBECONFIG: '' },
  }
  const ours = (...args: string[]): Command => ({
    name: ['task', ...args].join(' ').replace(' -- ', ' '),
    ...{ program: task, args, folder: projectFolder, environment },
  })
  const other = (name: string, program: string, args: string[]): Command => ({
    name,
    program,
    args,
    folder,
    environment,
  })
  return [
    other(nothing, process.execPath, ['-e', '0']),
    ours('--list'),
    ours('migrate:status'),
    ours('migrate:plan', '--', '--json'),
    ...(kubectl === undefined ? [] : [other('kubectl version --client', kubectl, ['version', '--client'])]),
  ]
}

function show(cases: readonly Case[], rounds: number, json: boolean): void {
  const rows = cases.map(({ name, seconds, cpuSeconds, ownSeconds, peakMemoryMB }) => [
    name,
    seconds.toFixed(3),
    cpuSeconds.toFixed(3),
    ownSeconds.toFixed(3),
    peakMemoryMB.toFixed(0),
  ])
  const title = `Start-up, on ${availableParallelism()} cores, median of ${rounds}`
  const columns = ['command', 'seconds', 'CPU seconds', 'of it ours', 'peak MB']
  createConsole({ out: json ? process.stderr : process.stdout }).table(title, columns, rows)
  if (json) process.stdout.write(`${JSON.stringify({ bench: 'startup', cases })}\n`)
}
