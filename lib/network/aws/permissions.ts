import type { IpPermission, SecurityGroup } from '@aws-sdk/client-ec2'

export type Direction = 'in' | 'out'

/** One CIDR of one rule of a security group, with all that a rule of the same effect needs. */
export type Rule = {
  readonly group: string
  /** of the group, for the operator */
  readonly called: string
  readonly direction: Direction
  /** `tcp`, `udp`, `icmp`, a number, or -1 for all */
  readonly protocol: string
  readonly from: number | null
  readonly to: number | null
  readonly cidr: string
  readonly description: string | null
}

/** All CIDRs of a group's rules, each by itself. */
export function rulesOf(group: SecurityGroup): Rule[] {
  const { GroupId = '', GroupName = '', IpPermissions = [], IpPermissionsEgress = [] } = group
  const rules = (direction: Direction, permissions: readonly IpPermission[]) =>
    permissions.flatMap(({ IpProtocol = '-1', FromPort, ToPort, IpRanges = [], Ipv6Ranges = [] }) => {
      const ranges = [
        ...IpRanges.map(({ CidrIp = '', Description }) => ({ cidr: CidrIp, Description })),
        ...Ipv6Ranges.map(({ CidrIpv6 = '', Description }) => ({ cidr: CidrIpv6, Description })),
      ]
      return ranges.map(({ cidr, Description }) => ({
        ...{ group: GroupId, called: GroupName, direction, protocol: IpProtocol, cidr },
        ...{ from: FromPort ?? null, to: ToPort ?? null, description: Description || null },
      }))
    })
  return [...rules('in', IpPermissions), ...rules('out', IpPermissionsEgress)]
}

/** The rule as AWS takes it. */
export function permissionOf({ protocol, from, to, cidr, description }: Rule): IpPermission {
  const described = description === null ? {} : { Description: description }
  return {
    IpProtocol: protocol,
    ...(from === null ? {} : { FromPort: from }),
    ...(to === null ? {} : { ToPort: to }),
    ...(cidr.includes(':')
      ? { Ipv6Ranges: [{ CidrIpv6: cidr, ...described }] }
      : { IpRanges: [{ CidrIp: cidr, ...described }] }),
  }
}

/** Whether two rules let the same through; what they are described as does not matter. */
export function isSameRule(one: Rule, other: Rule): boolean {
  const keys = ['group', 'direction', 'protocol', 'from', 'to', 'cidr'] as const
  return keys.every((key) => one[key] === other[key])
}

/** `udp 4242 from 203.0.113.7/32` */
export function describeRule({ direction, protocol, from, to, cidr }: Rule): string {
  const ports = from === null || from === -1 ? '' : from === to ? ` ${from}` : ` ${from}-${to}`
  return `${protocol === '-1' ? 'everything' : protocol}${ports} ${direction === 'in' ? 'from' : 'to'} ${cidr}`
}
