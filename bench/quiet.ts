#!/usr/bin/env node
// How long it takes to bring many workloads to rest and back, beside the same patches without journal, order and checks.
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { quietWorkloads } from '../lib/kubernetes/quiet.ts'
import { workloadsAreReady } from '../lib/kubernetes/readiness.ts'
import { scaleBack } from '../lib/kubernetes/scale.ts'
import { findStateful } from '../lib/kubernetes/workloads.ts'
import { systemClock } from '../lib/migration/clock.ts'
import { parseFlags } from '../lib/migration/command-line.ts'
import { createConsole } from '../lib/migration/console.ts'
import { OperatorError } from '../lib/migration/errors.ts'
import { Journal } from '../lib/migration/journal.ts'
import { report } from '../lib/migration/phase.ts'
import { startBareCluster } from '../test/kubernetes/bare-cluster.ts'
import { testMigration } from '../test/kubernetes/test-migration.ts'
import { Fleet } from './quiet/fleet.ts'
import { type Measurement, measure } from './quiet/measure.ts'

const console = createConsole({ out: process.stderr })
// Without this the cluster's processes would outlive it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
try {
  const flags = parseFlags(process.argv.slice(2), { workloads: 'string', namespaces: 'string' })
  if (flags.help) console.info('npm run bench:quiet -- [--workloads 500] [--namespaces 60] [--json]')
  else await bench(numberOf(flags.workloads, 500), numberOf(flags.namespaces, 60), flags.json === true)
} catch (error) {
  process.exitCode = report(error, console)
}

async function bench(workloads: number, namespaces: number, json: boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-quiet-'))
  const cluster = await startBareCluster({ pods: true })
  try {
    const fleet = new Fleet(cluster.api, workloads, namespaces)
    console.info(`Starting ${workloads} workloads in ${namespaces} namespaces`)
    await fleet.start()
    const floor = {
      down: await measure(async () => {
        await fleet.patchAll(0)
        await fleet.hasPods(0)
      }),
      up: await measure(async () => {
        await fleet.patchAll(1)
        await fleet.isReady()
      }),
    }
    const before = await fleet.written()
    const journal = Journal.open(join(folder, 'journal.jsonl'), systemClock.now)
    const settings = { STATEFUL_NAMESPACES: fleet.namespaces.join(' '), CONVERGE_TIMEOUT: '600', DRAIN_TIMEOUT: '600' }
    const { migration, lines } = testMigration(settings, { journal })
    const down = await measure(async () =>
      quietWorkloads(migration, cluster.api, await findStateful(cluster.api, migration.settings)),
    )
    if ((await fleet.replicas()) !== 0) throw new Error('not all workloads are at rest')
    const up = await measure(async () => {
      await scaleBack(migration, cluster.api)
      await workloadsAreReady(migration, cluster.api)
    })
    journal.close()
    if ((await fleet.written()) !== before) throw new Error('not everything came back as it was')
    const warnings = lines.filter((line) => line.startsWith('warn')).length
    console.info(`${warnings} warnings; the API server has turned ${await fleet.rejected()} requests away`)
    show(`${workloads} workloads in ${namespaces} namespaces`, { down, up }, floor, json)
  } finally {
    await cluster.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

interface BothWays {
  down: Measurement
  up: Measurement
}

function show(what: string, ours: BothWays, floor: BothWays, json: boolean): void {
  const cases = (['down', 'up'] as const).map((way) => ({
    name: `${way === 'down' ? 'quiet' : 'resume'}: ${what}`,
    seconds: rounded(ours[way].seconds),
    peakMemoryMB: Math.round(ours[way].peakMemoryMB),
    ratios: { 'the same patches, and nothing else': rounded(floor[way].seconds / ours[way].seconds) },
  }))
  const rows = cases.map(({ name, seconds, peakMemoryMB, ratios }) => [
    name,
    `${seconds}s`,
    `${peakMemoryMB} MB`,
    ...Object.values(ratios).map((ratio) => `${ratio}×`),
  ])
  createConsole({ out: json ? process.stderr : process.stdout }).table(
    `Quiet and resume, on ${availableParallelism()} cores`,
    ['case', 'time', 'peak memory', 'as fast as the same patches, and nothing else'],
    rows,
  )
  if (json) process.stdout.write(`${JSON.stringify({ bench: 'quiet', cases })}\n`)
}

function numberOf(flag: unknown, otherwise: number): number {
  if (flag === undefined) return otherwise
  const number = Number(flag)
  if (Number.isInteger(number) && number > 0) return number
  throw new OperatorError(`${String(flag)} is not a whole number above 0.`, { exitCode: 2 })
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
