import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import type { Address } from '../network/addresses.ts'
import { etcdAlarms, etcdMembers, takeSnapshot } from './etcd.ts'
import { bootId, describeMachine, identify, machineIdentity, sameMachine } from './identity.ts'
import { differingSecrets, liveMachineConfig, type MachineConfig, parseMachineConfig } from './machine-config.ts'
import { prepareConfig } from './prepare-config.ts'
import { checkSnapshotFile, proveKinship, readSnapshot } from './snapshot.ts'
import { type Talosctl, talosVersion } from './talosctl.ts'
import { seenIn, TalosctlError } from './talosctl-error.ts'
import { unlessRebuilding } from './without-snapshot.ts'

/** The fact `old-machine`. */
export const oldMachine = machineIdentity.extend({ bootId: z.string() })
export type OldMachine = z.output<typeof oldMachine>

/** The fact `old-machine-off`: when it was proven, and what its ports said. */
export const oldMachineOff = z.object({ address: z.string(), at: z.string(), ports: z.string() })

/**
 * Remembers who the old machine is, while it can still be asked.
 * @throws OperatorError when it does not answer
 */
export async function rememberOldMachine(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
): Promise<OldMachine> {
  const identity = await identify(talosctl, { address }).catch(explainAbsence(address))
  const old = { ...identity, bootId: await bootId(talosctl, { address }) }
  migration.remember('old-machine', old)
  migration.console.info(`The old machine is ${describeMachine(old)}.`)
  return old
}

function explainAbsence(address: Address): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof TalosctlError) || !error.transient) throw error
    throw new OperatorError(
      `The old machine does not answer at ${address}, and there is no final snapshot of it yet.`,
      {
        means: `It is off or unreachable: ${seenIn(error)}. Nothing was changed.`,
        next: 'Switch it on again and repeat. If it never comes back, recover from the backup: task migrate:provision SNAPSHOT=<backup folder>',
        cause: error,
      },
    )
  }
}

/**
 * Refuses what must be known before the machine is off: etcd has other members (a recovery beside them would make two
 * clusters of one identity), an alarm is raised, or the config for the new machine would be refused,
 * or comes from another secrets bundle.
 * @returns the config that the new machine will be given
 * @throws OperatorError
 */
export async function checkBeforeShutdown(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
): Promise<MachineConfig> {
  const live = parseMachineConfig(
    await liveMachineConfig(talosctl, { address }).catch(explainAbsence(address)),
    `the config of ${address}`,
  )
  const wanted = await prepareConfig(migration, talosctl, live)
  await checkEtcd(migration, talosctl, address)
  const { kubernetes } = live.versions
  if (kubernetes && wanted.versions.kubernetes && kubernetes !== wanted.versions.kubernetes) {
    throw new OperatorError(
      `${wanted.origin} would run Kubernetes ${wanted.versions.kubernetes}, and the machine runs ${kubernetes}.`,
      {
        means:
          '`talosctl upgrade-k8s` changes the machines, not the file. A migration does not change versions as well.',
        next: `Set the images in ${wanted.origin} to ${kubernetes}.`,
      },
    )
  }
  const differing = differingSecrets(live, wanted)
  if (differing.length === 0) return wanted
  throw new OperatorError(
    `${wanted.origin} comes from another secrets bundle than the running machine: ${differing.join(', ')}.`,
    {
      means: 'The new machine could read no Secret of the snapshot, and no worker and no talosconfig would know it.',
      next: `Set CONTROLPLANE_CONFIG to the config that the machine was made with, or save the one it runs on: talosctl --nodes ${address} get machineconfig v1alpha1 -o jsonpath={.spec}`,
    },
  )
}

async function checkEtcd(migration: Migration, talosctl: Talosctl, address: Address): Promise<void> {
  const members = await unlessRebuilding(migration, () =>
    etcdMembers(talosctl, { address }).catch(explainAbsence(address)),
  )
  // Nor may a new etcd begin beside living members.
  if (members && members.length !== 1) {
    throw new OperatorError(
      `etcd has ${members.length} members: ${members.map(({ hostname }) => hostname).join(', ')}.`,
      {
        means:
          'The control plane is not this machine alone. Recovering a snapshot beside living members would make a second cluster.',
        next: 'Replace one member of several by joining the new machine and removing the old one (scenario C).',
      },
    )
  }
  await unlessRebuilding(migration, () => refuseAlarms(talosctl, address))
}

async function refuseAlarms(talosctl: Talosctl, address: Address): Promise<void> {
  const alarms = await etcdAlarms(talosctl, { address }).catch(explainAbsence(address))
  if (alarms.length > 0) {
    throw new OperatorError(`etcd raises an alarm: ${alarms.join(', ')}.`, {
      means: 'It does not accept writes, and a snapshot of it may be damaged.',
      next: `Cure it first: talosctl --nodes ${address} etcd defrag; talosctl --nodes ${address} etcd alarm disarm`,
    })
  }
}

/** What `store` is given: a snapshot that is whole and proven to open with the machine config beside it. */
export interface VerifiedSnapshot {
  path: string
  machineConfig: Buffer
  kubeSystemUid: string
  revision: number
  hash: string | null
  versions: { talos: string; talosctl: string }
}

/** The fact `final-snapshot`. */
export const finalSnapshot = z.object({
  folder: z.string(),
  revision: z.number(),
  bytes: z.number(),
  kubeSystemUid: z.string(),
})
export type FinalSnapshot = z.output<typeof finalSnapshot>

/**
 * Takes the last snapshot, proves that it is whole and that its Secrets open with the config that the machine runs on, and
 * stores both as one set.
 * @param folder a memory folder
 * @param store encrypts and keeps the set, and says where
 * @throws OperatorError when the snapshot fails a proof: nothing has been shut down then
 */
export async function takeFinalSnapshot(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  folder: string,
  store: (snapshot: VerifiedSnapshot) => Promise<{ folder: string }>,
): Promise<FinalSnapshot | undefined> {
  const { console } = migration
  console.detail('streaming the snapshot')
  const { path, hash } = await takeSnapshot(talosctl, { address }, folder).catch(explainAbsence(address))
  const { bytes } = await checkSnapshotFile(path)
  console.detail('reading it, opening one of its Secrets')
  const content = await readSnapshot(path)
  const machineConfig = await liveMachineConfig(talosctl, { address })
  const live = parseMachineConfig(machineConfig, `the config of ${address}`)
  const { kubeSystemUid, proofs } = proveKinship(content, live, 'The final snapshot')
  console.info(
    `Final snapshot: revision ${content.revision}, ${content.secrets} Secrets, ${bytes} bytes; ${proofs.join('; ')}.`,
  )
  const versions = { talos: await talosVersion(talosctl, { address }), talosctl: talosctl.version }
  const verified = { path, machineConfig, kubeSystemUid, revision: content.revision, hash, versions }
  const stored = await migration.change('Store the final snapshot with its machine config, encrypted', {
    apply: () => store(verified),
  })
  if (!stored) return undefined
  const fact = { folder: stored.folder, revision: content.revision, bytes, kubeSystemUid }
  migration.remember('final-snapshot', fact)
  return fact
}

/**
 * Tells the old machine to shut down. Its answer is no proof: look at its ports afterwards. May be repeated; a machine that
 * does not answer any more is left alone.
 * @throws OperatorError when another machine answers at the address
 */
export async function shutDown(
  migration: Migration,
  talosctl: Talosctl,
  address: Address,
  old: OldMachine,
): Promise<void> {
  const { nodeName } = migration.settings
  const undo = { kind: 'power', address, node: nodeName, uuid: old.uuid, macs: old.macs }
  await migration.change(`Shut down ${nodeName} (${describeMachine(old)})`, {
    undo,
    apply: async () => {
      const there = await identify(talosctl, { address }).catch(goneOrThrow)
      if (!there) return
      if (!sameMachine(there, old)) throw anotherMachine(address, describeMachine(there))
      // Its pods have been drained by us. Without --force Talos drains once more and gives up the shutdown when the API errs.
      await talosctl.run({ address }, ['shutdown', '--wait=false', '--force']).catch(goneOrThrow)
    },
  })
}

function goneOrThrow(error: unknown): undefined {
  if (error instanceof TalosctlError && error.transient) return undefined
  throw error
}

function anotherMachine(address: Address, seen: string): OperatorError {
  return new OperatorError(`The machine at ${address} is not the one that was to be shut down: ${seen}.`, {
    means: 'Somebody has swapped machines or addresses since this phase began. It was left alone.',
    next: 'Give the old machine its address back, or disconnect the other one, and repeat.',
  })
}
