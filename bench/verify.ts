#!/usr/bin/env node
// How long all checks of verify take together, beside the slowest of them alone, and beside the guide's commands one after the other.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { report } from '../lib/migration/phase.ts'
import { ensureBinaries } from '../lib/rehearsal/binaries.ts'
import { makePracticeMesh } from '../lib/rehearsal/nebula/practice-mesh.ts'
import { PracticeCluster } from '../lib/rehearsal/practice-cluster.ts'
import { practiceNames } from '../lib/rehearsal/practice-homelab.ts'
import { findKubectl } from './backup/contenders.ts'
import { measure as measureProcesses } from './backup/measure.ts'
import { roundsOf } from './rounds.ts'
import { guide } from './verify/guide.ts'
import { openChecks } from './verify/ours.ts'
import { type Case, casesOf, type Taken } from './verify/result.ts'

const console = createConsole({ out: process.stderr })
// Without this the cluster's processes would outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
try {
  const flags = parseFlags(process.argv.slice(2), { rounds: 'string' })
  if (flags.help) console.info('npm run bench:verify -- [--rounds 5] [--json]. kubectl is that of PATH, or of KUBECTL.')
  else await bench(roundsOf('verify', flags.rounds, 5), flags.json === true)
} catch (error) {
  process.exitCode = report(error, console)
}

async function bench(rounds: number, json: boolean): Promise<void> {
  const kubectl = findKubectl(process.env)
  if (kubectl === undefined) throw noKubectl()
  const binaries = await ensureBinaries({ progress: console })
  const workFolder = await mkdtemp(join(tmpdir(), 'bench-verify-'))
  const cluster = await PracticeCluster.create({ binaries })
  let ingress: Server | undefined
  try {
    await cluster.start()
    ingress = await serveHosts(cluster.address)
    const mesh = await withMesh(cluster)
    const checks = await openChecks(cluster, mesh.settings)
    const commands = await guide(cluster, kubectl, mesh.certificate, workFolder)
    const taken = new Map<string, Taken[]>()
    const note = (name: string, seconds: number, peakMemoryMB: number) => {
      taken.set(name, [...(taken.get(name) ?? []), { seconds, peakMemoryMB }])
      console.info(`${name}: ${seconds.toFixed(2)} s`)
    }
    // The first look connects, and is no measure.
    await checks.all()
    // In turns, so that what else the machine does meets all.
    for (let round = 1; round <= rounds; round++) {
      for (const [name, run] of Object.entries(checks.alone)) note(name, await secondsOf(run), memoryMB())
      note('all checks', await secondsOf(checks.all), memoryMB())
      const guided = await measureProcesses({ name: 'guide', commands: () => commands }, workFolder)
      note('the guide', guided.seconds, guided.peakMemoryMB)
    }
    checks.close()
    show(casesOf(taken), json)
  } finally {
    ingress?.close()
    await cluster.destroy()
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return (performance.now() - began) / 1000
}

function memoryMB(): number {
  return process.memoryUsage.rss() / 1e6
}

/** A mesh, so that there are certificates to look at. */
async function withMesh(cluster: PracticeCluster) {
  const { binaries, address, folder, homelab } = cluster
  const api = await cluster.api()
  try {
    const mesh = await makePracticeMesh({
      ...{ api, nebulaCert: binaries['nebula-cert'], nodeName: practiceNames.node, nodeAddress: address },
      ...{ folder: join(folder, 'operator'), ageIdentityFile: homelab.ageIdentityFile },
    })
    return { settings: mesh.settings, certificate: mesh.caCertificate }
  } finally {
    api.close()
  }
}

/** Where Traefik would be. Whoever may not listen there hears a refusal at once, the guide's curl as well as the check. */
async function serveHosts(address: string): Promise<Server> {
  const server = createServer((_request, response) => response.end('ok'))
  await new Promise<void>((resolve) => {
    server.once('error', () => resolve())
    server.listen(80, address, resolve)
  })
  return server
}

function show(cases: readonly Case[], json: boolean): void {
  const rows = cases.map(({ name, seconds, ratios }) => [
    name,
    `${seconds.toFixed(2)}s`,
    Object.entries(ratios)
      .map(([other, times]) => `${times}× as fast as ${other}`)
      .join(', '),
  ])
  const load = loadavg()[0]?.toFixed(1)
  const title = `verify, on ${availableParallelism()} cores, load ${load}`
  createConsole({ out: json ? process.stderr : process.stdout }).table(title, ['case', 'seconds', ''], rows)
  if (json) process.stdout.write(`${JSON.stringify({ bench: 'verify', cases })}\n`)
}

function noKubectl(): OperatorError {
  return new OperatorError('There is no kubectl, which most of the guide’s commands are.', {
    next: 'Put it on PATH, or set KUBECTL to it.',
    exitCode: 2,
  })
}
