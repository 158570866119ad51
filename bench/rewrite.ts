#!/usr/bin/env node
// How fast addresses are replaced in a repository, from the start of the program to its end, beside the guide's grep, which only looks.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { projectFolder } from '../lib/settings.ts'
import type { Contender } from './backup/contenders.ts'
import { type Measurement, measure } from './backup/measure.ts'
import { type Case, casesOf } from './drain/result.ts'
import { makeRepository, newAddress, oldAddress } from './rewrite/repository.ts'

const planAndApply = 'plan and apply'

const console = createConsole({ out: process.stderr })
try {
  const flags = parseFlags(process.argv.slice(2), { files: 'string', rounds: 'string' })
  const sizes = numbersOf(flags.files, '1600,50000')
  const rounds = numbersOf(flags.rounds, '5')[0] ?? 5
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: projectFolder, stdio: 'inherit' })
  const cases: Case[] = []
  for (const files of sizes) cases.push(...casesOf(`${files} files`, await compare(files, rounds)))
  show(cases, rounds, flags.json === true)
} catch (error) {
  process.exitCode = report(error, console)
}

/** In turns, so that what else the machine does meets all of them; the first turn only warms the file system's cache. */
async function compare(files: number, rounds: number): Promise<Map<string, Measurement[]>> {
  const workFolder = await mkdtemp(join(tmpdir(), 'bench-rewrite-'))
  process.once('exit', () => rmSync(workFolder, { recursive: true, force: true }))
  const homelab = join(workFolder, 'homelab')
  await makeRepository(homelab, files)
  Object.assign(process.env, environment(workFolder, homelab))
  const all = contenders(homelab)
  const taken = new Map<string, Measurement[]>(all.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const contender of all) {
      const took = await measure(contender, workFolder)
      if (contender.name === planAndApply) execFileSync(process.execPath, program('--undo'), { stdio: 'ignore' })
      if (round > 0) taken.get(contender.name)?.push(took)
      console.info(`${files} files, round ${round}: ${contender.name} ${took.seconds.toFixed(2)} s`)
    }
  }
  return taken
}

function contenders(homelab: string): Contender[] {
  const node = (...args: string[]) => [{ program: process.execPath, args: program(...args) }]
  const guide = `cd '${homelab}' && grep -r "${oldAddress}" . | grep -v ".git" | grep -v ".output"`
  return [
    { name: 'plan', commands: () => node('--map', `${oldAddress}=${newAddress}`, '--dry-run') },
    { name: planAndApply, commands: () => node('--map', `${oldAddress}=${newAddress}`, '--yes') },
    { name: 'the guide’s grep -r', commands: () => [{ program: 'sh', args: ['-c', guide] }] },
  ]
}

function program(...args: string[]): string[] {
  return [join(projectFolder, 'dist', 'rewrite-ip.js'), ...args]
}

/** A cluster that is nowhere, and an operator who has nothing but the repository. */
function environment(workFolder: string, homelab: string): Record<string, string> {
  const at = (name: string) => join(workFolder, name)
  return {
    ...{
      CLUSTER: 'catalyst',
      HOMELAB_DIR: homelab,
      OUTPUT_DIR: at('output'),
      BACKUP_DIR: at('backup'),
      EARLIER_RUNS_DIR: at('runs'),
    },
    ...{ OPERATOR_TALOSCONFIG: at('talosconfig'), OPERATOR_KUBECONFIG: at('kubeconfig'), HOSTS_FILE: at('hosts') },
  }
}

function show(cases: readonly Case[], rounds: number, json: boolean): void {
  const rows = cases.map(({ ground, contender, seconds, peakMemoryMB, ratios }) => {
    const others = Object.entries(ratios).map(([other, ratio]) => `${ratio} × ${other}`)
    return [ground, contender, seconds.toFixed(2), peakMemoryMB.toFixed(0), others.join(', ')]
  })
  const title = `Rewrite, with start-up, on ${availableParallelism()} cores, median of ${rounds}`
  const columns = ['repository', 'contender', 'seconds', 'peak MB', 'as fast as']
  createConsole({ out: json ? process.stderr : process.stdout }).table(title, columns, rows)
  if (json) process.stdout.write(`${JSON.stringify({ bench: 'rewrite', cases })}\n`)
}

/** @throws OperatorError (exit code 2) unless it is a list of numbers */
function numbersOf(flag: string | boolean | undefined, otherwise: string): number[] {
  const numbers = String(flag ?? otherwise)
    .split(',')
    .map(Number)
  if (numbers.every((number) => Number.isInteger(number) && number > 0)) return numbers
  throw new OperatorError(`${flag} is no list of numbers.`, {
    next: 'npm run bench:rewrite -- --files 1600,50000 --rounds 5',
    exitCode: 2,
  })
}
