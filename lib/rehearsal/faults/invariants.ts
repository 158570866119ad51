import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parse } from 'yaml'
import { Journal } from '../../migration/journal.ts'
import { talosctlOn, votersProof } from '../control-planes.ts'
import type { PracticeCluster } from '../practice-cluster.ts'
import { allProcesses } from '../processes.ts'
import { compareTruths, etcdProof, type Proof } from '../proofs.ts'
import { journalOf } from '../rehearse.ts'
import { readTruth, type Truth } from '../truth.ts'
import type { Hands } from './hands.ts'
import { machineOf } from './scene.ts'
import type { Watchdog } from './watching.ts'

/** What must hold whatever has struck. @returns what speaks against it, in words; nothing when it holds */
export type Invariant = (ground: Ground) => Promise<string[]>

/** What the invariants are looked for in. */
export interface Ground {
  readonly cluster: PracticeCluster
  readonly watchdog: Watchdog
  readonly hands: Hands
  /** the cluster as it was before the evening */
  readonly before: Truth
  /** stands in the value of every Secret */
  readonly canary: string
  /** MEMORY_DIR */
  readonly memory: string
  /** file systems that the campaign itself has mounted */
  readonly mounts: readonly string[]
  /** lines of the journal that a fault has torn */
  readonly torn: () => number
  /** etcd's, when the evening is over */
  readonly voters: number
}

export const neverTwoEtcds: Invariant = async ({ watchdog }) => watchdog.seen()

/** Every line is a record, but for those that a crash has torn. */
export const journalIsReadable: Invariant = async ({ cluster, torn }) => {
  const path = journalOf(cluster)
  if (!existsSync(path)) return []
  // What has no end yet is being written, or was torn.
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  const lines = whole.filter((line) => line.trim() !== '')
  const unreadable = lines.length - Journal.inMemory(path, () => new Date()).records.length
  return unreadable > torn() ? [`${unreadable} lines of the journal are unreadable, and ${torn()} were torn`] : []
}

/** Neither a Secret's value nor a key of the cluster is in what the scripts have written. */
export const nothingSecretIsPlain: Invariant = async ({ cluster, canary }) => {
  const { outputDir, backupDir } = cluster.homelab
  const needles = [...spellings(canary), ...keysOf(cluster)]
  return [outputDir, backupDir].flatMap((folder) =>
    whileRenamed(() =>
      filesBelow(folder).flatMap((path) => {
        const bytes = readFileSync(path)
        return needles.some((needle) => bytes.includes(needle)) ? [`${path} holds a secret in plain`] : []
      }),
    ),
  )
}

const mostLooks = 100

/** The evening goes on meanwhile, and a backup that is whole gets another name: then all is looked at again. */
function whileRenamed<T>(look: () => T): T {
  for (let looks = 1; ; looks++) {
    try {
      return look()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || looks >= mostLooks) throw error
    }
  }
}

/** A text as it is, and as base64 has it at each of the three places at which it may begin; less what its neighbours change. */
function spellings(text: string): string[] {
  const inBase64 = [0, 1, 2].map((at) =>
    Buffer.from(' '.repeat(at) + text)
      .toString('base64')
      .slice(at === 0 ? 0 : 4, -4),
  )
  return [text, ...inBase64]
}

/** What opens the cluster: the keys of the secrets bundle, and the identity that opens the backups. */
function keysOf({ homelab }: PracticeCluster): string[] {
  const bundle: unknown = parse(readFileSync(join(homelab.folder, 'configs/secrets.yaml'), 'utf8'))
  const longest = 20
  const identity = readFileSync(homelab.ageIdentityFile, 'utf8').trim()
  return [
    identity,
    ...leaves(bundle)
      .filter(([name, value]) => !isPublic.has(name) && value.length > longest)
      .map(([, value]) => value),
  ]
}

const isPublic = new Set(['crt', 'id'])

function leaves(value: unknown, name = ''): [name: string, value: string][] {
  if (typeof value === 'string') return [[name, value]]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, part]) => leaves(part, key))
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

const endsWithinMs = 5_000

/** Nothing of a script that has ended runs any more. */
export const noProcessIsLeft: Invariant = async ({ cluster }) => {
  const left = () => allProcesses().filter(({ pid }) => isOfScripts(pid, cluster.homelab.envDir))
  for (const deadline = Date.now() + endsWithinMs; left().length > 0 && Date.now() < deadline; ) await delay(100)
  return left().map(({ pid, command }) => `process ${pid} is left: ${command}`)
}

/** By the environment that a script is started in, and gives to all that it starts (proc(5)). */
function isOfScripts(pid: number, envDir: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`ENV_DIR=${envDir}`)
  } catch {
    return false
  }
}

export const noMountIsLeft: Invariant = async ({ cluster, memory, mounts }) =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((at) => (at.startsWith(cluster.folder) || at.startsWith(memory)) && !mounts.includes(at))
    .map((at) => `${at} is still mounted`)

export const nothingDecryptedIsLeft: Invariant = async ({ memory }) =>
  filesBelow(memory).map((path) => `${path} is left in memory`)

/** After a rollback: a new machine that nobody has unplugged does not run on with what makes it a control plane of this cluster. */
export const newMachineIsFenced: Invariant = async ({ hands }) => {
  const machine = hands.unwanted
  const holdsConfig = machine && existsSync(join(machine.disk, 'STATE/config.yaml'))
  return holdsConfig ? [`the new machine still runs with the cluster's config (${machine.hardware.name})`] : []
}

/** All objects are there, once, with their UIDs, and each Secret decrypts to what it was: as long as an API server is there to be asked. */
export const noObjectIsLost: Invariant = async (ground) => {
  const [identity, , secrets] = await compared(ground).catch(() => [])
  // One that has just come up, or is about to go, does not know everything.
  return (await isReady(ground)) ? [identity, secrets].flatMap((proof) => proof?.against ?? []) : []
}

const readyWithinMs = 120_000

/** As it was before: every object, what it says, and every switch that the evening turns off and on. Pods that are starting are waited for. */
export const clusterIsAsBefore: Invariant = async (ground) => {
  for (const deadline = Date.now() + readyWithinMs; ; await delay(500)) {
    const isUp = await isReady(ground)
    const against = isUp ? await differences(ground) : ['the API server is not ready']
    const isStarting = against.every((line) => !isUp || /: ready \d+, was \d+$/.test(line))
    if (against.length === 0 || !isStarting || Date.now() > deadline) return against
  }
}

async function differences(ground: Ground): Promise<string[]> {
  return [...(await compared(ground)), await votersAreHealthy(ground)].flatMap(({ against }) => against)
}

async function votersAreHealthy({ cluster, voters }: Ground): Promise<Proof> {
  const machine = voters > 1 ? cluster.old : machineOf({ cluster })
  if (!machine) throw new Error('no control plane machine is on')
  if (voters > 1) return votersProof(cluster, machine, voters)
  return etcdProof({ talosctlOnNode: (...args) => talosctlOn(cluster, machine, ...args) })
}

async function compared({ cluster, before }: Ground): Promise<Proof[]> {
  if (!(await isReady({ cluster }))) throw new Error('the API server is not ready')
  const api = await cluster.api()
  try {
    return compareTruths(before, await readTruth(api))
  } finally {
    api.close()
  }
}

async function isReady({ cluster }: Pick<Ground, 'cluster'>): Promise<boolean> {
  const api = await cluster.api().catch(() => undefined)
  const answer = await api?.raw('/readyz').catch(() => undefined)
  api?.close()
  return answer?.toString() === 'ok'
}
