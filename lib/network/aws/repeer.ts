import ipaddr from 'ipaddr.js'
import { isAgreed } from '../../migration/consent.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import type { Settings } from '../../settings.ts'
import { changeElasticIp, changeRule } from './change.ts'
import type { Ec2, ElasticIp } from './ec2.ts'
import { describeRule, type Rule } from './permissions.ts'
import { changePrefixList, type PrefixEntry } from './prefix-lists.ts'

/** An address that AWS knows, and the one that takes its place, if it is known. */
export interface AwsMove {
  readonly from: string
  readonly to: string | undefined
}

/** What AWS has of an old address. */
export interface AwsFacts {
  /** rules for the address alone */
  readonly rules: readonly { rule: Rule; move: AwsMove }[]
  /** rules for a network that the old address is in, and the new one is not */
  readonly wider: readonly { rule: Rule; move: AwsMove }[]
  readonly elasticIps: readonly { elasticIp: ElasticIp; move: AwsMove; is: 'public' | 'private' }[]
  /** of prefix lists, for the address alone */
  readonly entries: readonly { entry: PrefixEntry; move: AwsMove }[]
  /** of prefix lists, for a network that the old address is in, and the new one is not */
  readonly widerEntries: readonly { entry: PrefixEntry; move: AwsMove }[]
}

/** AWS_OLD_ADDRESS first, then the addresses of the machine that change. */
export function awsMoves(settings: Settings): AwsMove[] {
  const { awsOldAddress, awsNewAddress, nodeAddress, newNodeAddress, meshAddress, newMeshAddress } = settings
  const pairs: [string | undefined, string | undefined][] = [
    [awsOldAddress, awsNewAddress ?? (awsOldAddress === nodeAddress ? newNodeAddress : undefined)],
    [newNodeAddress && nodeAddress, newNodeAddress],
    [newMeshAddress && meshAddress, newMeshAddress],
  ]
  const moves = pairs.flatMap(([from, to]) => (from === undefined || from === to ? [] : [{ from, to }]))
  return [...new Map(moves.toReversed().map((move) => [move.from, move])).values()].toReversed()
}

/** Looks through security groups, Elastic IPs and prefix lists for the addresses. */
export async function awsFacts(ec2: Ec2, moves: readonly AwsMove[]): Promise<AwsFacts> {
  const [rules, elasticIps, entries] = await Promise.all([ec2.rules(), ec2.elasticIps(), ec2.prefixEntries()])
  const rulesThat = (fit: Fit) =>
    rules.flatMap((rule) => moves.filter((move) => fit(rule.cidr, move)).map((move) => ({ rule, move })))
  const entriesThat = (fit: Fit) =>
    entries.flatMap((entry) => moves.filter((move) => fit(entry.cidr, move)).map((move) => ({ entry, move })))
  return {
    rules: rulesThat(isForItAlone),
    wider: rulesThat(isForItsNetwork),
    entries: entriesThat(isForItAlone),
    widerEntries: entriesThat(isForItsNetwork),
    elasticIps: elasticIps.flatMap((elasticIp) =>
      moves.flatMap((move): AwsFacts['elasticIps'][number][] => {
        if (elasticIp.publicAddress === move.from) return [{ elasticIp, move, is: 'public' }]
        return elasticIp.privateAddress === move.from ? [{ elasticIp, move, is: 'private' }] : []
      }),
    ),
  }
}

type Fit = (cidr: string, move: AwsMove) => boolean

const isForItAlone: Fit = (cidr, { from }) => cidr === hostCidr(from)

const isForItsNetwork: Fit = (cidr, { from, to }) =>
  cidr !== hostCidr(from) && isIn(from, cidr) && !(to !== undefined && isIn(to, cidr)) && !isEverybody(cidr)

/**
 * Lists what AWS has of the old address, and changes it with --aws, or where ALSO_CHANGE says so: the new rule before the old one goes. AWS_OLD_ADDRESS not set: one sentence.
 * @param connect called only when it is set
 * @throws OperatorError when AWS refuses, or a change is asked for and the new address is not known
 */
export async function repeerAws(migration: Migration, connect: () => Promise<Ec2>): Promise<void> {
  const { settings, console } = migration
  if (settings.awsOldAddress === undefined) return console.info('AWS_OLD_ADDRESS is not set: AWS is not looked at.')
  const ec2 = await connect()
  try {
    const facts = await awsFacts(ec2, awsMoves(settings))
    showAws(migration, ec2, facts)
    const leading = facts.elasticIps.filter(({ is }) => is === 'private')
    const changeable = facts.rules.length + facts.entries.length + leading.length
    if (changeable === 0) return
    if (!isAgreed(migration, 'aws'))
      return console.warn('To change them: task migrate:repeer -- --aws, or with ALSO_CHANGE=aws')
    await change(migration, ec2, facts)
  } finally {
    ec2.close()
  }
}

async function change(migration: Migration, ec2: Ec2, { rules, elasticIps, entries }: AwsFacts): Promise<void> {
  const unknown = [...rules, ...elasticIps, ...entries].find(({ move }) => move.to === undefined)
  if (unknown) throw noNewAddress(unknown.move)
  // All new rules first: a connection that is under way may go through any of the old ones.
  for (const phase of ['authorize', 'revoke'] as const) {
    for (const { rule, move } of rules) {
      await changeRule(migration, ec2, phase, rule, { ...rule, cidr: hostCidr(move.to ?? '') })
    }
  }
  for (const list of new Set(entries.map(({ entry }) => entry.list))) {
    const own = entries.filter(({ entry }) => entry.list === list)
    const exchanges = own.map(({ entry, move }) => ({ entry, to: hostCidr(move.to ?? '') }))
    await changePrefixList(migration, ec2, list, exchanges)
  }
  for (const { elasticIp, move, is } of elasticIps) {
    if (is === 'private') await changeElasticIp(migration, ec2, elasticIp, move.to ?? '')
  }
}

function showAws({ console }: Migration, { region }: Ec2, facts: AwsFacts): void {
  const { rules, wider, elasticIps, entries, widerEntries } = facts
  const undecided = 'a network: yours to decide'
  const rows = [
    ...rules.map(({ rule, move }) => [`${rule.group} (${rule.called})`, describeRule(rule), move.to ?? '?']),
    ...wider.map(({ rule }) => [`${rule.group} (${rule.called})`, describeRule(rule), undecided]),
    ...entries.map(({ entry, move }) => [calledList(entry), entry.cidr, move.to ?? '?']),
    ...widerEntries.map(({ entry }) => [calledList(entry), entry.cidr, undecided]),
    ...elasticIps.map(({ elasticIp, is, move }) => [
      `Elastic IP ${elasticIp.publicAddress} (${elasticIp.allocation})`,
      is === 'public' ? 'is the old address itself' : `leads to ${elasticIp.privateAddress}`,
      is === 'public' ? 'cannot be chosen: yours to decide' : (move.to ?? '?'),
    ]),
  ]
  if (rows.length === 0) console.info(`Nothing in AWS (${region}) holds the old address.`)
  else console.table(`AWS (${region})`, ['what', 'has the old address', 'to be'], rows)
}

function calledList({ list, called }: PrefixEntry): string {
  return `prefix list ${list} (${called})`
}

/** The address alone, as a network. */
function hostCidr(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`
}

function isIn(address: string, cidr: string): boolean {
  if (!ipaddr.isValidCIDR(cidr)) return false
  const parsed = ipaddr.parse(address)
  const range = ipaddr.parseCIDR(cidr)
  return parsed.kind() === range[0].kind() && parsed.match(range)
}

function isEverybody(cidr: string): boolean {
  return cidr.endsWith('/0')
}

function noNewAddress({ from }: AwsMove): OperatorError {
  return new OperatorError(`What takes the place of ${from} in AWS is not known.`, {
    means: 'Nothing was changed there.',
    next: 'Set AWS_NEW_ADDRESS; then: task migrate:repeer -- --aws',
    exitCode: 2,
  })
}
