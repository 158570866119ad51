import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KubernetesApi } from '../kubernetes/api.ts'
import {
  type Availability,
  commonOutages,
  consistentRead,
  outages,
  watchAvailability,
} from '../kubernetes/availability.ts'
import { systemClock } from '../migration/clock.ts'
import { messageOf } from '../migration/errors.ts'
import { waitFor } from '../migration/wait.ts'
import type { Address } from '../network/addresses.ts'
import { apiServerAt, kubeconfigFor } from '../talos/join/kubeconfig.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import { practiceNames } from './practice-homelab.ts'
import type { PracticeMachine } from './practice-machine.ts'
import { type Proof, proof, table } from './proofs.ts'
import { runTalosctl } from './run-talosctl.ts'

const withinSeconds = 120

/** A control plane that was killed, and what became of the API meanwhile. */
export interface Killing {
  node: string
  /** in seconds, in which none of the others' API servers answered a read that needs etcd's quorum */
  gap: number
  /** in seconds, in which the cluster's endpoint did not answer */
  endpointGap: number
  /** what could not be written or read, if anything */
  against: string[]
}

/**
 * Pulls the power of one control plane after the other, each time writing an object through every other API server and reading it from
 * the one that came back.
 */
export async function killInTurn(cluster: PracticeCluster, machines: Map<string, PracticeMachine>): Promise<Killing[]> {
  const killings: Killing[] = []
  for (const [node, machine] of machines) {
    const others = [...machines.values()].filter((other) => other !== machine)
    killings.push(await kill(cluster, { node, machine, others }))
  }
  return killings
}

async function kill(
  cluster: PracticeCluster,
  { node, machine, others }: { node: string; machine: PracticeMachine; others: PracticeMachine[] },
): Promise<Killing> {
  const watched = await Promise.all(others.map((other) => watch(cluster, other)))
  const kubeconfig = await readFile(cluster.homelab.kubeconfig, 'utf8')
  const endpoint = await watchAvailability(kubeconfig, { path: consistentRead })
  try {
    await machine.cutPower()
    for (const [index, other] of others.entries()) await write(cluster, other, `${node}-is-away-${index}`)
    const since = Date.now()
    machine.powerOn()
    await machine.waitFor('node-ready', { timeoutSeconds: withinSeconds, since })
    await agreed(cluster, machine, 3)
    const against: string[] = []
    for (const index of others.keys()) against.push(...(await takeAway(cluster, machine, `${node}-is-away-${index}`)))
    return { node, gap: longest(commonOutages(watched)), endpointGap: longest(outages(endpoint.samples)), against }
  } finally {
    for (const one of [...watched, endpoint]) one.stop()
  }
}

const configMaps = '/api/v1/namespaces/default/configmaps'

/** Writes through one API server, as often as it takes: while etcd elects a leader nothing can be written. */
async function write(cluster: PracticeCluster, through: PracticeMachine, name: string): Promise<void> {
  await within(`${name} is written through ${through.hardware.address}`, async () => {
    await withApi(cluster, through, async (api) => {
      if (!(await api.getOrNull(`${configMaps}/${name}`))) await api.create(configMaps, { metadata: { name } })
    })
    return undefined
  })
}

/** Reads from the one that was away what was written without it, and removes it. */
async function takeAway(cluster: PracticeCluster, machine: PracticeMachine, name: string): Promise<string[]> {
  return withApi(cluster, machine, async (api) => {
    if (!(await api.getOrNull(`${configMaps}/${name}`))) return [`${name} is not there`]
    await api.remove(`${configMaps}/${name}`)
    return []
  })
}

/** Waits until etcd, as this machine sees it, has so many voters, and all of them follow one leader. */
export async function agreed(cluster: PracticeCluster, machine: PracticeMachine, voters: number): Promise<void> {
  await within(`etcd has ${voters} voters that agree`, async () => (await disagreement(cluster, machine, voters))[0])
}

/** Three voters, no learner, one leader, no alarm; as the real talosctl tells. */
export async function votersProof(cluster: PracticeCluster, machine: PracticeMachine, voters: number): Promise<Proof> {
  const members = table(await talosctlOn(cluster, machine, 'etcd', 'members'))
  const names = members.map((row) => row.HOSTNAME).join(', ')
  const against = await disagreement(cluster, machine, voters)
  return proof(`etcd is ${voters} healthy voters`, `talosctl etcd members, status, alarm list: ${names}`, against)
}

async function disagreement(cluster: PracticeCluster, machine: PracticeMachine, voters: number): Promise<string[]> {
  const members = table(await talosctlOn(cluster, machine, 'etcd', 'members'))
  const addresses = members.map((row) => /\/\/([^:]+):/.exec(row['PEER URLS'] ?? '')?.[1] ?? '')
  const states = table(
    await cluster.talosctl('etcd', 'status', '-n', addresses.join(','), '-e', machine.hardware.address),
  )
  const alarms = table(await talosctlOn(cluster, machine, 'etcd', 'alarm', 'list'))
  const leaders = new Set(states.map((row) => row.LEADER))
  return [
    ...(members.length === voters ? [] : [`it has ${members.length} members`]),
    ...members.filter((row) => row.LEARNER !== 'false').map((row) => `${row.HOSTNAME} is a learner`),
    ...(states.length === voters ? [] : [`${states.length} of them tell their state`]),
    ...(leaders.size === 1 ? [] : [`they follow ${[...leaders].join(' and ')}`]),
    ...alarms.map((row) => `alarm: ${Object.values(row).join(' ')}`),
  ]
}

export function talosctlOn(cluster: PracticeCluster, machine: PracticeMachine, ...args: string[]): Promise<string> {
  const { address } = machine.hardware
  return cluster.talosctl(...args, '--nodes', address, '--endpoints', address)
}

/** Lends the API server of one machine. */
export async function withApi<T>(
  { homelab }: PracticeCluster,
  { hardware }: PracticeMachine,
  use: (api: KubernetesApi) => Promise<T>,
): Promise<T> {
  const address = hardware.address as Address
  const api = await KubernetesApi.fromString(await kubeconfigFor(homelab.kubeconfig, { address }))
  try {
    return await use(api)
  } finally {
    api.close()
  }
}

async function watch({ homelab, address }: PracticeCluster, { hardware }: PracticeMachine): Promise<Availability> {
  const kubeconfig = await readFile(homelab.kubeconfig, 'utf8')
  return watchAvailability(kubeconfig, {
    server: apiServerAt(`https://${address}:6443`, hardware.address),
    path: consistentRead,
  })
}

/** Looks until nothing is found to be wrong. */
async function within(name: string, problem: () => Promise<string | undefined>): Promise<void> {
  const probe = async () => {
    const saw = await problem().catch((error: unknown) => messageOf(error))
    return saw === undefined ? { met: true as const, value: undefined } : { met: false as const, saw }
  }
  const waiting = { clock: systemClock, signal: new AbortController().signal, onSeen: () => undefined }
  await waitFor({ name, timeoutSeconds: withinSeconds, everyMs: 100, probe }, waiting)
}

/** A machine in maintenance mode, at an address of its own. */
export async function addWaiting(cluster: PracticeCluster, name: string, host: number): Promise<PracticeMachine> {
  const machine = cluster.addMachine(name, cluster.addressAt(host))
  machine.powerOn()
  await machine.waitFor('maintenance-ready', { timeoutSeconds: withinSeconds })
  return machine
}

/** A worker of the cluster, ready. */
export async function addWorker(
  cluster: PracticeCluster,
  { name, host, hostname }: { name: string; host: number; hostname: string },
): Promise<PracticeMachine> {
  const machine = await addWaiting(cluster, name, host)
  const { homelab, address } = cluster
  const file = join(cluster.folder, `${name}.yaml`)
  const secrets = ['--with-secrets', join(homelab.folder, 'configs/secrets.yaml')]
  const output = ['--output-types', 'worker', '--output', file, '--talos-version', 'v1.11']
  const made = ['gen', 'config', practiceNames.cluster, `https://${address}:6443`, ...secrets, ...output]
  await runTalosctl(cluster.binaries.talosctl, made)
  const patch = JSON.stringify({ machine: { network: { hostname } } })
  const target = ['--insecure', '--nodes', machine.hardware.address]
  await cluster.talosctl('apply-config', ...target, '--file', file, '--config-patch', patch)
  await within(`${hostname} is ready`, async () => {
    const node = await withApi(cluster, cluster.old, (api) => api.getOrNull<ReadyNode>(`/api/v1/nodes/${hostname}`))
    const ready = node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
    return ready ? undefined : 'it is not'
  })
  return machine
}

interface ReadyNode {
  status?: { conditions?: { type: string; status: string }[] }
}

function longest(all: readonly { from: number; to: number }[]): number {
  return Math.max(0, ...all.map(({ from, to }) => (to - from) / 1000))
}
