#!/usr/bin/env node
// How long a drain takes, beside kubectl drain, on a cluster of the practice binaries whose pods take their whole grace to end.
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { report } from '../lib/migration/phase.ts'
import { projectFolder } from '../lib/settings.ts'
import { type BareCluster, startBareCluster } from '../test/kubernetes/bare-cluster.ts'
import { punctualPods } from '../test/kubernetes/punctual-pods.ts'
import { type Contender, findKubectl } from './backup/contenders.ts'
import { type Measurement, measure } from './backup/measure.ts'
import { behindBudgets, type Ground, mixedGraces, shortGraces } from './drain/grounds.ts'
import { type Case, casesOf } from './drain/result.ts'
import { roundsOf } from './rounds.ts'

const console = createConsole({ out: process.stderr })
// Without this the cluster's processes would outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
try {
  const flags = parseFlags(process.argv.slice(2), { rounds: 'string' })
  if (flags.help) console.info('npm run bench:drain -- [--rounds 3] [--json]. kubectl is that of PATH, or of KUBECTL.')
  else await bench(roundsOf('drain', flags.rounds, 3), flags.json === true)
} catch (error) {
  process.exitCode = report(error, console)
}

async function bench(rounds: number, json: boolean): Promise<void> {
  const workFolder = await mkdtemp(join(tmpdir(), 'bench-drain-'))
  const cluster = await startBareCluster({ pods: true, stages: punctualPods })
  try {
    const program = await bundle()
    const cases: Case[] = []
    for (const make of [mixedGraces, shortGraces, behindBudgets]) {
      const ground = await make(cluster.api)
      console.info(`${ground.name}: made`)
      cases.push(
        ...casesOf(ground.name, await compare(ground, contenders(cluster, ground, program), rounds, workFolder)),
      )
    }
    const columns = ['ground', 'contender', 'seconds', 'peak MB']
    const rows = cases.map((each) => [
      each.ground,
      each.contender,
      each.seconds.toFixed(2),
      each.peakMemoryMB.toFixed(0),
    ])
    const title = `Drain, on ${availableParallelism()} cores, median of ${rounds}`
    createConsole({ out: json ? process.stderr : process.stdout }).table(title, columns, rows)
    if (json) process.stdout.write(`${JSON.stringify({ bench: 'drain', cases })}\n`)
  } finally {
    await cluster.stop()
    await rm(workFolder, { recursive: true, force: true })
  }
}

function contenders({ kubeconfig }: BareCluster, { node }: Ground, program: string): Contender[] {
  const kubectl = findKubectl(process.env)
  if (kubectl === undefined) console.warn('There is no kubectl (set KUBECTL, or PATH): it is left out.')
  const args = ['--kubeconfig', kubeconfig, 'drain', node, '--ignore-daemonsets', '--delete-emptydir-data']
  return [
    { name: 'ours', commands: (folder) => [{ program: process.execPath, args: [program, kubeconfig, node, folder] }] },
    ...(kubectl === undefined ? [] : [{ name: 'kubectl', commands: () => [{ program: kubectl, args }] }]),
  ]
}

/** In turns, so that what else the machine does meets both. */
async function compare(ground: Ground, all: readonly Contender[], rounds: number, workFolder: string) {
  const taken = new Map<string, Measurement[]>(all.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const contender of all) {
      await ground.restore()
      const measurement = await measure(contender, workFolder)
      taken.get(contender.name)?.push(measurement)
      console.info(`${ground.name}, round ${round}: ${contender.name} ${measurement.seconds.toFixed(2)} s`)
    }
  }
  return taken
}

/** As `task` runs the scripts. Beside them, for settings are looked for in the project's folder. */
async function bundle(): Promise<string> {
  const outfile = join(projectFolder, 'dist/bench/drain.js')
  await build({
    entryPoints: [new URL('drain/ours.ts', import.meta.url).pathname],
    outfile,
    ...{ bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'warning' },
    banner: { js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)" },
  })
  return outfile
}
