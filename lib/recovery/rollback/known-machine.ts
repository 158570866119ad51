import * as z from 'zod'
import type { JournaledChange } from '../../migration/migration.ts'
import { type Address, parseAddress } from '../../network/addresses.ts'
import { type MachineIdentity, machineIdentity } from '../../talos/identity.ts'

const machineUndo = machineIdentity.extend({ address: z.string() })

/** A machine as the journal knows it from what was done to it. */
export interface KnownMachine {
  readonly address: Address
  readonly identity: MachineIdentity
}

/** The machine that a change was made to. @throws ZodError when its undo data tells of none */
export function knownMachine({ undo }: Pick<JournaledChange, 'undo'>): KnownMachine {
  const { address, uuid, macs } = machineUndo.parse(undo)
  return { address: parseAddress(address, 'an address of the journal'), identity: { uuid, macs } }
}
