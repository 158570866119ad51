import {
  AssociateAddressCommand,
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  DescribeAddressesCommand,
  DescribeNetworkInterfacesCommand,
  EC2Client,
  EC2ServiceException,
  type ManagedPrefixList,
  ModifyManagedPrefixListCommand,
  paginateDescribeManagedPrefixLists,
  paginateDescribeSecurityGroups,
  paginateGetManagedPrefixListEntries,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
} from '@aws-sdk/client-ec2'
import { messageOf, OperatorError } from '../../migration/errors.ts'
import type { Settings } from '../../settings.ts'
import { permissionOf, type Rule, rulesOf } from './permissions.ts'
import type { PrefixEntry } from './prefix-lists.ts'

/** An Elastic IP and where it leads. */
export type ElasticIp = {
  readonly allocation: string
  readonly publicAddress: string
  readonly privateAddress: string | null
  readonly interface: string | null
}

/**
 * The part of EC2 that knows addresses of this site.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/
 */
export interface Ec2 {
  readonly region: string
  /** all CIDRs of all rules of all security groups of the region */
  rules(): Promise<Rule[]>
  elasticIps(): Promise<ElasticIp[]>
  /** the network interface that has a private address; undefined if none has */
  interfaceWith(privateAddress: string): Promise<string | undefined>
  /** nothing happens when there is such a rule already */
  authorize(rule: Rule): Promise<void>
  /** nothing happens when there is no such rule any more */
  revoke(rule: Rule): Promise<void>
  associate(allocation: string, networkInterface: string, privateAddress: string): Promise<void>
  /** all entries of all prefix lists that are not AWS' own */
  prefixEntries(): Promise<PrefixEntry[]>
  /** All at once; begun when it returns, and ended when the list's state says so. */
  modifyPrefixList(list: string, add: readonly PrefixEntry[], remove: readonly PrefixEntry[]): Promise<void>
  /** such as modify-in-progress, modify-complete, modify-failed, and the reason of the last */
  prefixListState(list: string): Promise<{ state: string; message: string }>
  close(): void
}

const timeoutMs = 15_000

/**
 * Connects to EC2 with the credentials that AWS' own tools would use: environment, ~/.aws, SSO, a role.
 * Every call throws an OperatorError, with what AWS said, when it is refused.
 * @throws OperatorError when no region is named anywhere
 */
export async function connectEc2({ awsRegion }: Pick<Settings, 'awsRegion'>): Promise<Ec2> {
  const client = new EC2Client({
    ...(awsRegion === undefined ? {} : { region: awsRegion }),
    requestHandler: { requestTimeout: timeoutMs, connectionTimeout: timeoutMs, throwOnRequestTimeout: true },
  })
  const region = await client.config.region().catch((error: unknown) => {
    throw failed('which region it is in', error)
  })
  return {
    region,
    rules: () => told('the security groups', () => allRules(client)),
    elasticIps: () => told('the Elastic IPs', () => allElasticIps(client)),
    interfaceWith: (address) => told('the network interfaces', () => interfaceWith(client, address)),
    authorize: (rule) => told('a new rule', () => authorize(client, rule)),
    revoke: (rule) => told('the end of a rule', () => revoke(client, rule)),
    associate: (allocation, networkInterface, privateAddress) =>
      told('where an Elastic IP leads', () => associate(client, allocation, networkInterface, privateAddress)),
    prefixEntries: () => told('the prefix lists', () => allPrefixEntries(client)),
    modifyPrefixList: (list, add, remove) =>
      told('a change of a prefix list', () => modifyPrefixList(client, list, add, remove)),
    prefixListState: (list) => told('the state of a prefix list', () => prefixListState(client, list)),
    close: () => client.destroy(),
  }
}

async function allRules(client: EC2Client): Promise<Rule[]> {
  const rules: Rule[] = []
  for await (const { SecurityGroups = [] } of paginateDescribeSecurityGroups({ client, pageSize: 500 }, {})) {
    rules.push(...SecurityGroups.flatMap(rulesOf))
  }
  return rules
}

async function allElasticIps(client: EC2Client): Promise<ElasticIp[]> {
  const { Addresses = [] } = await client.send(new DescribeAddressesCommand({}))
  return Addresses.map(({ AllocationId = '', PublicIp = '', PrivateIpAddress, NetworkInterfaceId }) => ({
    allocation: AllocationId,
    publicAddress: PublicIp,
    privateAddress: PrivateIpAddress || null,
    interface: NetworkInterfaceId || null,
  }))
}

async function allPrefixLists(client: EC2Client, ids?: string[]): Promise<ManagedPrefixList[]> {
  const lists: ManagedPrefixList[] = []
  const input = ids === undefined ? {} : { PrefixListIds: ids }
  for await (const { PrefixLists = [] } of paginateDescribeManagedPrefixLists({ client }, input)) {
    lists.push(...PrefixLists.filter(({ OwnerId }) => OwnerId !== 'AWS'))
  }
  return lists
}

async function allPrefixEntries(client: EC2Client): Promise<PrefixEntry[]> {
  const entries: PrefixEntry[] = []
  for (const { PrefixListId = '', PrefixListName = '' } of await allPrefixLists(client)) {
    for await (const { Entries = [] } of paginateGetManagedPrefixListEntries({ client }, { PrefixListId })) {
      entries.push(
        ...Entries.map(({ Cidr = '', Description }) => {
          return { list: PrefixListId, called: PrefixListName, cidr: Cidr, description: Description || null }
        }),
      )
    }
  }
  return entries
}

async function modifyPrefixList(
  client: EC2Client,
  list: string,
  add: readonly PrefixEntry[],
  remove: readonly PrefixEntry[],
): Promise<void> {
  const [found] = await allPrefixLists(client, [list])
  const input = {
    PrefixListId: list,
    ...(found?.Version === undefined ? {} : { CurrentVersion: found.Version }),
    AddEntries: add.map(({ cidr, description }) => {
      return { Cidr: cidr, ...(description === null ? {} : { Description: description }) }
    }),
    RemoveEntries: remove.map(({ cidr }) => ({ Cidr: cidr })),
  }
  await client.send(new ModifyManagedPrefixListCommand(input))
}

async function prefixListState(client: EC2Client, list: string): Promise<{ state: string; message: string }> {
  const [found] = await allPrefixLists(client, [list])
  return { state: found?.State ?? 'gone', message: found?.StateMessage ?? '' }
}

async function interfaceWith(client: EC2Client, privateAddress: string): Promise<string | undefined> {
  const Filters = [{ Name: 'addresses.private-ip-address', Values: [privateAddress] }]
  const { NetworkInterfaces = [] } = await client.send(new DescribeNetworkInterfacesCommand({ Filters }))
  return NetworkInterfaces[0]?.NetworkInterfaceId
}

async function authorize(client: EC2Client, rule: Rule): Promise<void> {
  const input = { GroupId: rule.group, IpPermissions: [permissionOf(rule)] }
  const send = () =>
    rule.direction === 'in'
      ? client.send(new AuthorizeSecurityGroupIngressCommand(input))
      : client.send(new AuthorizeSecurityGroupEgressCommand(input))
  await unless('InvalidPermission.Duplicate', send)
}

async function revoke(client: EC2Client, rule: Rule): Promise<void> {
  // Described or not, it lets the same through.
  const input = { GroupId: rule.group, IpPermissions: [permissionOf({ ...rule, description: null })] }
  const send = () =>
    rule.direction === 'in'
      ? client.send(new RevokeSecurityGroupIngressCommand(input))
      : client.send(new RevokeSecurityGroupEgressCommand(input))
  await unless('InvalidPermission.NotFound', send)
}

async function associate(client: EC2Client, allocation: string, networkInterface: string, privateAddress: string) {
  const place = { NetworkInterfaceId: networkInterface, PrivateIpAddress: privateAddress, AllowReassociation: true }
  await client.send(new AssociateAddressCommand({ AllocationId: allocation, ...place }))
}

async function unless(code: string, send: () => Promise<unknown>): Promise<void> {
  try {
    await send()
  } catch (error) {
    if (!(error instanceof EC2ServiceException && error.name === code)) throw error
  }
}

async function told<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw failed(what, error)
  }
}

function failed(what: string, error: unknown): OperatorError {
  const { name } = error as Error
  const code = name === 'Error' ? '' : ` (${name})`
  return new OperatorError(`EC2 does not tell or take ${what}: ${messageOf(error)}${code}`, {
    means: 'What AWS knows of the old address was not looked at to the end.',
    next: `${wayOut(name)} Without AWS_OLD_ADDRESS, AWS is left out.`,
    cause: error,
  })
}

function wayOut(name: string): string {
  if (name === 'CredentialsProviderError') {
    return 'Give credentials as for the aws command: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'
  }
  if (/^(UnauthorizedOperation|AuthFailure|AccessDenied)/.test(name)) {
    return 'The credentials need ec2:DescribeSecurityGroups, ec2:DescribeAddresses, ec2:DescribeNetworkInterfaces, ec2:DescribeManagedPrefixLists, ec2:GetManagedPrefixListEntries; to change, ec2:AuthorizeSecurityGroup*, ec2:RevokeSecurityGroup*, ec2:AssociateAddress and ec2:ModifyManagedPrefixList.'
  }
  return 'Check AWS_REGION and the connection.'
}
