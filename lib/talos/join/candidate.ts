import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { Condition, Migration, Probe } from '../../migration/migration.ts'
import { describeMachine, type MachineIdentity, machineIdentity, sameMachine } from '../identity.ts'
import type { Disk } from '../install-disk.ts'
import { liveMachineConfig, type MachineConfig, parseMachineConfig } from '../machine-config.ts'
import { lookAtMachine } from '../maintenance.ts'
import type { Talosctl } from '../talosctl.ts'
import type { JoiningNode } from './nodes.ts'

/** What stands at the address of a machine that is to join. */
export type Candidate =
  | { readonly state: 'silent' | 'foreign'; readonly saw: string }
  | {
      readonly state: 'maintenance'
      readonly saw: string
      readonly identity: MachineIdentity
      readonly disks: readonly Disk[]
      readonly extensions: readonly string[]
    }
  | {
      readonly state: 'worker' | 'control plane'
      readonly saw: string
      readonly identity: MachineIdentity
      readonly config: MachineConfig
      readonly extensions: readonly string[]
    }

const extension = z
  .object({ metadata: z.object({ name: z.string(), version: z.string().default('') }).loose() })
  .loose()

/** @throws TalosctlError for an unusable talosconfig */
export async function lookAtCandidate(talosctl: Talosctl, { address }: JoiningNode): Promise<Candidate> {
  const seen = await lookAtMachine(talosctl, address)
  const { saw } = seen
  if (seen.state === 'silent' || seen.state === 'foreign') return { state: seen.state, saw }
  const { identity } = seen
  if (seen.state === 'maintenance') {
    const extensions = await extensionsOf(talosctl, { address, insecure: true })
    return { state: 'maintenance', saw, identity, disks: seen.disks, extensions }
  }
  const config = parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${address}`)
  const extensions = await extensionsOf(talosctl, { address })
  return { state: config.type === 'worker' ? 'worker' : 'control plane', saw, identity, config, extensions }
}

/** System extensions of the running image, `name version`, sorted (resource ExtensionStatus). */
export async function extensionsOf(
  talosctl: Talosctl,
  target: Parameters<Talosctl['resources']>[0],
): Promise<string[]> {
  const found = await talosctl.resources(target, 'extensions', extension)
  return found.map(({ spec: { metadata } }) => `${metadata.name} ${metadata.version}`.trim()).sort()
}

/**
 * Waits until the machine takes a config, and remembers it (fact `joining NAME`), so that a run that was killed after it had
 * applied the config knows it again.
 * @throws OperatorError at once when waiting cannot help
 */
export function candidateReady(
  migration: Migration,
  talosctl: Talosctl,
  node: JoiningNode,
): Condition<MachineIdentity> {
  return {
    name: `${node.name} waits at ${node.address} in maintenance mode`,
    timeoutSeconds: migration.settings.machineTimeout,
    everyMs: 1000,
    hint: `Boot it from Talos' ISO or network image; its screen shows its address, which must be ${node.address}.`,
    probe: async () => {
      const seen = await lookAtCandidate(talosctl, node)
      const judged = judge(migration, node, seen)
      if (judged.met && seen.state === 'maintenance') {
        migration.remember(factOf(node), judged.value)
        migration.console.info(`${node.name} is ${describeMachine(judged.value)}.`)
      }
      return judged
    },
  }
}

/** The machine that this run has found, or has given its config, under that name. */
export function knownCandidate(migration: Migration, node: JoiningNode): MachineIdentity | undefined {
  return migration.recall(factOf(node), machineIdentity)
}

function judge(migration: Migration, node: JoiningNode, seen: Candidate): Probe<MachineIdentity> {
  const { state, saw } = seen
  if (state === 'silent') return { met: false, saw }
  if (state === 'maintenance') return { met: true, value: seen.identity, saw }
  if (state === 'control plane') {
    const known = knownCandidate(migration, node)
    // A member of this name that was joined before, by this run or by another.
    if (seen.config.hostname === node.name && (!known || sameMachine(known, seen.identity)))
      return { met: true, value: seen.identity, saw: 'it has its config' }
  }
  // It was told to reset itself, and has not gone down yet.
  if (state === 'worker' && migration.journal.changes({ kind: resetKind }).some(({ undo }) => undo?.node === node.name))
    return { met: false, saw: 'it is still the worker that it was' }
  if (state === 'worker') {
    throw new OperatorError(`${node.name} is a worker of this cluster, and was silent when it was looked at.`, {
      means: 'A worker is drained and reset before it gets another config. Nothing was applied.',
      next: 'The same command again looks again.',
    })
  }
  throw new OperatorError(`The machine at ${node.address} cannot become ${node.name}.`, {
    means: `Seen: ${saw}. Only a machine without a config, or a worker of this cluster, can join. Nothing was applied.`,
    next: 'Boot the machine from the ISO or network image. If its disk holds another Talos, reset that one first (talosctl reset).',
  })
}

/** Of the change that resets a worker. */
export const resetKind = 'worker-reset'

function factOf({ name }: JoiningNode): string {
  return `joining ${name}`
}
