import { formatSeconds } from '../migration/clock.ts'
import type { Console } from '../migration/console.ts'
import { ensureBinaries } from './binaries.ts'
import { addWaiting, addWorker, type Killing, killInTurn, votersProof, withApi } from './control-planes.ts'
import { lendHands } from './hands.ts'
import { keepRehearsal } from './keep.ts'
import { PracticeCluster, type Step } from './practice-cluster.ts'
import type { PracticeMachine } from './practice-machine.ts'
import { compareTruths, type Proof, proof } from './proofs.ts'
import {
  journalOf,
  type PhaseResult,
  phaseResults,
  type RehearsalOptions,
  runFailed,
  showProofs,
  steps,
  taskOf,
  truthOf,
} from './rehearse.ts'

/** What a rehearsal of scenario C came to. */
export interface RehearsalC {
  phases: PhaseResult[]
  proofs: Proof[]
  killings: Killing[]
}

type Options = Omit<RehearsalOptions, 'recovery' | 'scenario'>

const second = { host: 55, hostname: 'talos01' }
const third = { host: 56, hostname: 'talos02' }

/**
 * Practises scenario C: one control plane becomes three, one of them a worker before, by `task migrate:run`, as a user would type it. Then each is killed in
 * turn, and the API has to go on. Nothing is left running, however it ends.
 * @throws OperatorError when the practice cluster does not come up, or when the run fails
 */
export async function rehearseScenarioC(options: Options): Promise<RehearsalC> {
  const { console, signal, keep } = options
  const step = steps(console, signal)
  const binaries = await step('Find the binaries', () => ensureBinaries({ progress: console, signal }))
  const cluster = await PracticeCluster.create({ binaries, step, keep, signal })
  try {
    await cluster.start()
    return await rehearseOn(cluster, step, options)
  } finally {
    await cluster.destroy()
    if (keep) console.info(`The practice cluster's folder was kept: ${cluster.folder}`)
  }
}

async function rehearseOn(cluster: PracticeCluster, step: Step, options: Options): Promise<RehearsalC> {
  const machines = await step('Start a second machine, and a worker', () => threeMachines(cluster))
  const before = await step('Write down every object of the cluster', () => truthOf(cluster))
  const ended = new AbortController()
  const hands = lendHands(cluster, AbortSignal.any([options.signal, ended.signal]))
  hands.catch(() => undefined)
  const exitCode = await taskOf(
    cluster,
    ['migrate:run', 'SCENARIO=C', `JOIN_NODES=${joinNodes(machines)}`, 'REDUNDANCY_TEST=yes'],
    options,
  )
  ended.abort()
  await hands
  if (exitCode !== 0) throw runFailed(exitCode, cluster, options)
  keepRehearsal(journalOf(cluster))
  const proofs = await step('Prove what became of it', async () => [
    ...compareTruths(before, await truthOf(cluster)),
    await votersProof(cluster, cluster.old, 3),
    await serversProof(cluster, machines),
  ])
  const killings = await step('Pull the power of each in turn', () => killInTurn(cluster, machines))
  const again = await votersProof(cluster, cluster.old, 3)
  return { phases: phaseResults(journalOf(cluster)), proofs: [...proofs, killingsProof(killings), again], killings }
}

/** The first control plane, and the two that are to join it, by their names. */
async function threeMachines(cluster: PracticeCluster): Promise<Map<string, PracticeMachine>> {
  const waiting = await addWaiting(cluster, 'second', second.host)
  const worker = await addWorker(cluster, { name: 'third', ...third })
  return new Map([
    ['talos00', cluster.old],
    [second.hostname, waiting],
    [third.hostname, worker],
  ])
}

function joinNodes(machines: Map<string, PracticeMachine>): string {
  const joining = [...machines].filter(([name]) => name !== 'talos00')
  return joining.map(([name, { hardware }]) => `${name}=${hardware.address}`).join(',')
}

async function serversProof(cluster: PracticeCluster, machines: Map<string, PracticeMachine>): Promise<Proof> {
  const against: string[] = []
  for (const [name, machine] of machines) {
    const answer = await withApi(cluster, machine, (api) => api.raw('/readyz')).catch((error: unknown) => error)
    if (String(answer) !== 'ok') against.push(`that of ${name}: ${answer}`)
  }
  const addresses = [...machines.values()].map(({ hardware }) => hardware.address)
  return proof('three API servers are ready', `/readyz of each, at ${addresses.join(', ')}`, against)
}

function killingsProof(killings: readonly Killing[]): Proof {
  const against = killings.flatMap(({ node, against: lost }) => lost.map((each) => `without ${node}: ${each}`))
  const gaps = killings.map(({ node, gap }) => `${node} ${formatSeconds(gap)}`).join(', ')
  return proof('each may be killed, and the API takes writes', `longest gaps without ${gaps}`, against)
}

/** Shows what the rehearsal came to: phases, proofs, and for how long the API was away when one was killed. */
export function showRehearsalC({ phases, proofs, killings }: RehearsalC, console: Console): void {
  const rows = phases.map(({ name, seconds, result }) => [name, formatSeconds(seconds), result])
  console.table('Phases', ['phase', 'duration', 'result'], rows)
  showProofs(proofs, console)
  console.table(
    'Each killed in turn: the longest time without an answer',
    ['killed', 'through the others', 'through the endpoint'],
    killings.map(({ node, gap, endpointGap }) => [node, formatSeconds(gap), formatSeconds(endpointGap)]),
  )
}
