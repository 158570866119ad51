import {
  type AddPrefixListEntry,
  AllocateAddressCommand,
  AssociateAddressCommand,
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateManagedPrefixListCommand,
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
} from '@aws-sdk/client-ec2'
import type { ExecutionContext } from 'ava'
import { connectEc2, type Ec2 } from '../../../lib/network/aws/ec2.ts'
import { motoServer } from '../../backup/bucket-server.ts'

const oldHost = { CidrIp: '203.0.113.7/32', Description: 'home' }

/** A region of a site whose address AWS knows: security groups and Elastic IPs. */
export interface Site {
  ec2: Ec2
  client: EC2Client
  gateway: string
  others: string
  elasticIp: string
}

/** Starts EC2 as moto has it, and leads this process' AWS clients to it. @returns its URL */
export async function ec2Server(t: Pick<ExecutionContext<unknown>, 'teardown'>): Promise<string> {
  const url = await motoServer(t)
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_EC2: url,
    AWS_ACCESS_KEY_ID: 'practice',
    AWS_SECRET_ACCESS_KEY: 'practice',
    AWS_EC2_METADATA_DISABLED: 'true',
  })
  return url
}

/** Empties the server, and makes a site: a group for the mesh that lets the old address in and out, one that lets a network in, an Elastic IP for 10.0.0.54. */
export async function makeSite(t: ExecutionContext<unknown>, url: string): Promise<Site> {
  await (await fetch(`${url}/moto-api/reset`, { method: 'POST' })).arrayBuffer()
  const client = new EC2Client({ region: 'eu-central-1' })
  t.teardown(() => client.destroy())
  const { Vpc } = await client.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }))
  const group = async (name: string) => {
    const made = new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: Vpc?.VpcId })
    return (await client.send(made)).GroupId ?? ''
  }
  const gateway = await group('gateway')
  const others = await group('others')
  const allow = (GroupId: string, IpPermissions: object[]) =>
    client.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }))
  await allow(gateway, [
    { IpProtocol: 'udp', FromPort: 4242, ToPort: 4242, IpRanges: [oldHost, { CidrIp: '198.51.100.9/32' }] },
    { IpProtocol: 'tcp', FromPort: 6000, ToPort: 6100, IpRanges: [{ CidrIp: '203.0.113.7/32' }] },
    { IpProtocol: 'icmp', FromPort: -1, ToPort: -1, IpRanges: [{ CidrIp: '203.0.113.70/32' }] },
  ])
  const outwards = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [oldHost] }]
  await client.send(new AuthorizeSecurityGroupEgressCommand({ GroupId: gateway, IpPermissions: outwards }))
  await allow(others, [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '203.0.113.0/28' }] }])
  const { Subnet } = await client.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: '10.0.0.0/24' }))
  const place = async (PrivateIpAddress: string) => {
    const made = new CreateNetworkInterfaceCommand({ SubnetId: Subnet?.SubnetId, PrivateIpAddress })
    return (await client.send(made)).NetworkInterface?.NetworkInterfaceId
  }
  const { AllocationId: elasticIp = '' } = await client.send(new AllocateAddressCommand({ Domain: 'vpc' }))
  const NetworkInterfaceId = await place('10.0.0.54')
  await place('10.0.0.60')
  await client.send(
    new AssociateAddressCommand({ AllocationId: elasticIp, NetworkInterfaceId, PrivateIpAddress: '10.0.0.54' }),
  )
  const ec2 = await connectEc2({ awsRegion: 'eu-central-1' })
  t.teardown(() => ec2.close())
  return { ec2, client, gateway, others, elasticIp }
}

/** A prefix list of the account. @returns its ID */
export async function makePrefixList({ client }: Site, name: string, Entries: AddPrefixListEntry[]): Promise<string> {
  const made = new CreateManagedPrefixListCommand({
    PrefixListName: name,
    AddressFamily: 'IPv4',
    MaxEntries: 10,
    Entries,
  })
  return (await client.send(made)).PrefixList?.PrefixListId ?? ''
}
