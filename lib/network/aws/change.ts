import * as z from 'zod'
import { OperatorError } from '../../migration/errors.ts'
import type { JournaledChange, Migration, Undone } from '../../migration/migration.ts'
import type { Ec2, ElasticIp } from './ec2.ts'
import { describeRule, isSameRule, type Rule } from './permissions.ts'
import { takeBackPrefixList } from './prefix-lists.ts'

const rule = z.object({
  group: z.string(),
  called: z.string(),
  direction: z.enum(['in', 'out']),
  protocol: z.string(),
  from: z.number().nullable(),
  to: z.number().nullable(),
  cidr: z.string(),
  description: z.string().nullable(),
})

/** The undo data of what is changed in AWS. */
const changed = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('aws-rule-added'), rule }),
  z.object({ kind: z.literal('aws-rule-removed'), rule }),
  z.object({
    kind: z.literal('aws-elastic-ip'),
    allocation: z.string(),
    interface: z.string(),
    was: z.string(),
    is: z.string(),
  }),
])

/** Adds the new rule, or takes the old one away; a rule that was there before us is not ours to take back. */
export async function changeRule(
  migration: Migration,
  ec2: Ec2,
  phase: 'authorize' | 'revoke',
  old: Rule,
  renewed: Rule,
): Promise<void> {
  if (phase === 'revoke') {
    await migration.change(`take ${describeRule(old)} out of ${old.group}`, {
      undo: { kind: 'aws-rule-removed', rule: { ...old } },
      apply: () => ec2.revoke(old),
    })
    return
  }
  const what = `put ${describeRule(renewed)} into ${renewed.group}`
  const begun = migration.journal.standingChange(what) !== undefined
  if (!begun && (await ec2.rules()).some((each) => isSameRule(each, renewed))) return
  await migration.change(what, {
    undo: { kind: 'aws-rule-added', rule: { ...renewed } },
    apply: () => ec2.authorize(renewed),
  })
}

/**
 * Lets an Elastic IP lead to the new private address.
 * @throws OperatorError when no network interface has that address
 */
export async function changeElasticIp(migration: Migration, ec2: Ec2, elasticIp: ElasticIp, to: string): Promise<void> {
  const { allocation, publicAddress, privateAddress, interface: from } = elasticIp
  const target = await ec2.interfaceWith(to)
  if (target === undefined || privateAddress === null || from === null) {
    throw new OperatorError(`No network interface in ${ec2.region} has the address ${to}.`, {
      means: `The Elastic IP ${publicAddress} still leads to ${privateAddress}.`,
      next: 'Give the address to the instance; then: task migrate:repeer -- --aws',
    })
  }
  await migration.change(`let the Elastic IP ${publicAddress} lead to ${to}`, {
    undo: { kind: 'aws-elastic-ip', allocation, interface: from, was: privateAddress, is: to },
    apply: () => ec2.associate(allocation, target, to),
  })
}

/** Takes one change in AWS back, after a look at what is there now. */
export async function takeBackAws(ec2: Ec2, change: JournaledChange): Promise<Undone> {
  if (change.undo?.kind === 'aws-prefix-list') return takeBackPrefixList(ec2, change)
  const made = changed.parse(change.undo)
  if (made.kind === 'aws-elastic-ip') return takeBackElasticIp(ec2, made)
  const isThere = (await ec2.rules()).some((each) => isSameRule(each, made.rule))
  if (isThere === (made.kind === 'aws-rule-removed')) return 'already'
  if (made.kind === 'aws-rule-added') await ec2.revoke(made.rule)
  else await ec2.authorize(made.rule)
  return 'undone'
}

async function takeBackElasticIp(
  ec2: Ec2,
  {
    allocation,
    interface: networkInterface,
    was,
    is,
  }: { allocation: string; interface: string; was: string; is: string },
): Promise<Undone> {
  const there = (await ec2.elasticIps()).find((each) => each.allocation === allocation)
  if (there === undefined) return `conflict: the Elastic IP ${allocation} is not there any more`
  if (there.privateAddress === was) return 'already'
  if (there.privateAddress !== is) return `conflict: it leads to ${there.privateAddress ?? 'nobody'}`
  await ec2.associate(allocation, networkInterface, was)
  return 'undone'
}
