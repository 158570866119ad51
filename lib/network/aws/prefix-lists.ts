import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import type { Ec2 } from './ec2.ts'

/** One network of a prefix list of this account. */
export type PrefixEntry = {
  readonly list: string
  /** of the list, for the operator */
  readonly called: string
  readonly cidr: string
  readonly description: string | null
}

/** An entry, and the network that takes its place. */
export interface Exchange {
  readonly entry: PrefixEntry
  readonly to: string
}

const entry = z.object({ list: z.string(), called: z.string(), cidr: z.string(), description: z.string().nullable() })
const undoSchema = z.object({
  kind: z.literal('aws-prefix-list'),
  list: z.string(),
  /** what went */
  removed: z.array(entry),
  /** what came: without what was there before us */
  added: z.array(entry),
})

/**
 * Exchanges the entries of one prefix list, all at once: a list has a version for each change, and whoever refers to it sees the old one or the new one.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyManagedPrefixList.html
 * @param exchanges all of the same list
 * @throws OperatorError when AWS does not complete it within API_TIMEOUT
 */
export async function changePrefixList(
  migration: Migration,
  ec2: Ec2,
  list: string,
  exchanges: readonly Exchange[],
): Promise<void> {
  const cidrs = await cidrsIn(ec2, list)
  const removed = exchanges.map((each) => each.entry)
  const added = exchanges
    .map((each) => ({ ...each.entry, cidr: each.to }))
    .filter(({ cidr }, place, all) => !cidrs.has(cidr) && all.findIndex((one) => one.cidr === cidr) === place)
  const what = exchanges.map((each) => `${each.to} in the place of ${each.entry.cidr}`).join(', ')
  await migration.change(`put ${what} into the prefix list ${list}`, {
    undo: { kind: 'aws-prefix-list', list, removed, added },
    apply: () => modify(ec2, list, added, removed),
  })
  if (!migration.dryRun) await migration.wait(isModified(ec2, list, migration.settings.apiTimeout))
}

/** Puts the entries back. @returns conflict when somebody has changed them since */
export async function takeBackPrefixList(ec2: Ec2, change: JournaledChange): Promise<Undone> {
  const { list, removed, added } = undoSchema.parse(change.undo)
  const cidrs = await cidrsIn(ec2, list)
  const isThere = ({ cidr }: PrefixEntry) => cidrs.has(cidr)
  if (removed.every(isThere) && !added.some(isThere)) return 'already'
  const gone = added.filter((each) => !isThere(each))
  if (gone.length > 0) return `conflict: ${gone.map(({ cidr }) => cidr).join(', ')} is not in it any more`
  await modify(ec2, list, removed, added)
  return 'undone'
}

/** What is there, or gone, already is not asked for: AWS would refuse the whole. */
async function modify(
  ec2: Ec2,
  list: string,
  add: readonly PrefixEntry[],
  remove: readonly PrefixEntry[],
): Promise<void> {
  const cidrs = await cidrsIn(ec2, list)
  const missing = add.filter(({ cidr }) => !cidrs.has(cidr))
  const standing = remove.filter(({ cidr }) => cidrs.has(cidr))
  if (missing.length + standing.length > 0) await ec2.modifyPrefixList(list, missing, standing)
}

function isModified(ec2: Ec2, list: string, timeoutSeconds: number) {
  return {
    name: `the prefix list ${list} is modified`,
    timeoutSeconds,
    everyMs: 1000,
    hint: 'The same command again looks at it anew.',
    probe: async () => {
      const { state, message } = await ec2.prefixListState(list)
      if (state.endsWith('-failed')) {
        throw new OperatorError(`AWS has not modified the prefix list ${list}: ${message || state}`, {
          means: 'Its entries are as they were.',
          next: 'Look at it (aws ec2 describe-managed-prefix-lists), then: task migrate:repeer -- --aws',
        })
      }
      return state.endsWith('-in-progress') ? { met: false as const, saw: state } : { met: true as const, value: state }
    },
  }
}

async function cidrsIn(ec2: Ec2, list: string): Promise<Set<string>> {
  return new Set((await ec2.prefixEntries()).filter((each) => each.list === list).map(({ cidr }) => cidr))
}
