#!/usr/bin/env node
// How fast a backup is, beside kubectl and beside the floor, on a cluster of the practice binaries that is filled for it.
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { discover } from '../lib/kubernetes/discovery.ts'
import { parseFlags } from '../lib/migration/command-line.ts'
import { type Console, createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { makeKeys } from '../test/backup/keys.ts'
import { type BareCluster, installDefinitions, startBareCluster } from '../test/kubernetes/bare-cluster.ts'
import { type Contender, contenders, findKubectl } from './backup/contenders.ts'
import { fill } from './backup/fill.ts'
import { type Measurement, measure, TooMuchMemory } from './backup/measure.ts'
import { type Case, casesOf, columns, rowsOf } from './backup/result.ts'

/** No request is turned away: it is filled by one client, and as fast as it can be. */
const unlimited = [
  '--max-requests-inflight=0',
  '--max-mutating-requests-inflight=0',
  '--enable-priority-and-fairness=false',
]

const console = createConsole({ out: process.stderr })
// Without this the cluster's processes would outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
try {
  const flags = parseFlags(process.argv.slice(2), { objects: 'string', rounds: 'string' })
  if (flags.help) explain(console)
  else
    await bench(
      numbersOf(flags.objects, '2000,20000,100000'),
      numbersOf(flags.rounds, '3')[0] ?? 3,
      flags.json === true,
    )
} catch (error) {
  process.exitCode = report(error, console)
}

async function bench(sizes: readonly number[], rounds: number, json: boolean): Promise<void> {
  const workFolder = await mkdtemp(join(tmpdir(), 'bench-backup-'))
  process.once('exit', () => rmSync(workFolder, { recursive: true, force: true }))
  const cluster = await startBareCluster({ apiServer: unlimited })
  try {
    await installDefinitions(cluster.api, ['flux.yaml'])
    const cases: Case[] = []
    let there = 0
    for (const objects of sizes) {
      await grow(cluster, there, objects)
      there = objects
      cases.push(...casesOf(objects, await compare(await contendersFor(cluster, workFolder), rounds, workFolder)))
    }
    const title = `Backup, on ${availableParallelism()} cores, median of ${rounds}`
    createConsole({ out: json ? process.stderr : process.stdout }).table(title, columns, rowsOf(cases))
    if (json) process.stdout.write(`${JSON.stringify({ bench: 'backup', cases })}\n`)
  } finally {
    await cluster.stop()
  }
}

async function grow({ api }: BareCluster, from: number, to: number): Promise<void> {
  const began = Date.now()
  await fill(api, { from, to }, (made) => {
    if (made % 5000 === 0) console.info(`${from + made} objects made`)
  })
  console.info(
    `${to} objects are there; ${to - from} of them were made in ${((Date.now() - began) / 1000).toFixed(0)} s`,
  )
}

async function contendersFor({ api, kubeconfig }: BareCluster, workFolder: string): Promise<Contender[]> {
  const kubectl = findKubectl(process.env)
  if (kubectl === undefined) console.warn('There is no kubectl (set KUBECTL, or PATH): it is left out.')
  const { identityFile } = await makeKeys(workFolder)
  const { resources } = await discover(api)
  return contenders({ kubeconfig, identityFile, workFolder, resources, kubectl })
}

/** In turns, so that what else the machine does meets all of them. The first turn only warms the API server's caches. */
async function compare(all: readonly Contender[], rounds: number, workFolder: string) {
  const taken = new Map<string, Measurement[]>(all.map(({ name }) => [name, []]))
  for (const contender of all.slice(0, 2)) await measure(contender, workFolder)
  for (let round = 1; round <= rounds; round++) {
    for (const contender of all.filter(({ name }) => taken.has(name))) {
      const outcome = await measure(contender, workFolder).catch((error: unknown) => {
        if (!(error instanceof TooMuchMemory)) throw error
        return error
      })
      if (outcome instanceof TooMuchMemory) {
        taken.delete(contender.name)
        console.warn(`${contender.name} is left out here: ${outcome.message}.`)
        continue
      }
      taken.get(contender.name)?.push(outcome)
      const { seconds, peakMemoryMB } = outcome
      console.info(`round ${round}: ${contender.name} ${seconds.toFixed(2)} s, ${peakMemoryMB.toFixed(0)} MB`)
    }
  }
  return taken
}

/** @throws OperatorError (exit code 2) unless it is a list of ascending numbers */
function numbersOf(flag: string | boolean | undefined, otherwise: string): number[] {
  const numbers = String(flag ?? otherwise)
    .split(',')
    .map(Number)
  const ascending = numbers.every((number, at) => Number.isInteger(number) && number > (numbers[at - 1] ?? 0))
  if (ascending) return numbers
  throw new OperatorError(`${flag} is no list of numbers, each larger than the one before.`, {
    next: 'npm run bench:backup -- --objects 2000,20000 --rounds 3',
    exitCode: 2,
  })
}

function explain({ info }: Console): void {
  info('npm run bench:backup -- [--objects 2000,20000,100000] [--rounds 3] [--json]')
  info('Fills a cluster on loopback with objects, and times the backup, the same pages thrown away, and kubectl.')
  info('kubectl is that of PATH, or of the environment variable KUBECTL. --json ends with one line of JSON.')
}
