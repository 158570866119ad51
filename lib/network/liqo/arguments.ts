import type { Liqoctl } from './liqoctl.ts'
import type { Direction, Networking, Peering } from './peering.ts'
import type { Side } from './side.ts'

/** Both clusters of a peering. */
export interface Sides {
  readonly here: Side
  readonly there: Side
}

/** What a peering is worked with. */
export interface Mesh extends Sides {
  readonly liqoctl: Liqoctl
}

/**
 * The arguments with which liqoctl makes one direction of a recorded peering again. liqoctl is run as the consumer.
 * Source: https://docs.liqo.io/en/v1.0.1/usage/liqoctl/peer.html
 * @param moved addresses that have become others: what a person once gave as the old one is given as the new one
 */
export function peerArguments(
  sides: Sides,
  { networking }: Pick<Peering, 'networking'>,
  direction: Direction,
  moved: ReadonlyMap<string, string> = new Map(),
): string[] {
  const { consumer, inBand, proxyUrl } = direction
  return [
    'peer',
    ...clusters(sides, direction),
    ...(networking === null ? ['--networking-disabled'] : networkArguments(networking, consumer, moved)),
    ...(inBand ? ['--in-band'] : []),
    ...(proxyUrl === undefined ? [] : ['--proxy-url', proxyUrl]),
    ...sliceArguments(sides, direction),
  ]
}

/**
 * The arguments with which liqoctl tears one direction of a peering down.
 * Source: https://docs.liqo.io/en/v1.0.1/usage/liqoctl/unpeer.html
 * @param last no direction is left after it, so that the namespaces of the peering go, too; liqoctl refuses that for the first of two
 */
export function unpeerArguments(sides: Sides, direction: Pick<Direction, 'consumer'>, last: boolean): string[] {
  return ['unpeer', ...clusters(sides, direction), ...(last ? ['--delete-namespaces'] : [])]
}

function clusters(sides: Sides, { consumer }: Pick<Direction, 'consumer'>): string[] {
  const local = sides[consumer]
  const remote = sides[consumer === 'here' ? 'there' : 'here']
  return [
    ...['--kubeconfig', local.kubeconfig, '--namespace', local.namespace],
    ...['--remote-kubeconfig', remote.kubeconfig, '--remote-namespace', remote.namespace],
  ]
}

function networkArguments(networking: Networking, consumer: Direction['consumer'], moved: ReadonlyMap<string, string>) {
  const { server, serviceType, port, nodePort, loadBalancerIP, mtu, clientAddress, clientPort } = networking
  const address = (text: string | undefined) => (text === undefined ? undefined : (moved.get(text) ?? text))
  const given: [string, string | number | undefined][] = [
    ['--gw-server-service-location', server === consumer ? 'Consumer' : 'Provider'],
    ['--gw-server-service-type', serviceType],
    ['--gw-server-service-port', port],
    // A port and an address of their own are for one type of service only; of another they are what Kubernetes chose.
    ['--gw-server-service-nodeport', serviceType === 'NodePort' ? nodePort : undefined],
    ['--gw-server-service-loadbalancerip', serviceType === 'LoadBalancer' ? address(loadBalancerIP) : undefined],
    ['--gw-client-address', address(clientAddress)],
    ['--gw-client-port', clientPort],
    ['--mtu', mtu],
  ]
  return given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]))
}

/** liqoctl makes one slice, named after the provider; others are made by hand, and put back by hand. */
function sliceArguments(sides: Sides, { consumer, slices }: Direction): string[] {
  const provider = sides[consumer === 'here' ? 'there' : 'here'].clusterId
  const own = slices.find(({ name }) => name === provider)
  if (own === undefined) return ['--create-resource-slice=false']
  const amounts = ['cpu', 'memory', 'pods'].flatMap((name) => {
    const amount = own.resources[name]
    return amount === undefined ? [] : [`--${name}`, amount]
  })
  return [
    ...(own.class === undefined ? [] : ['--resource-slice-class', own.class]),
    ...(own.makesNode ? [] : ['--create-virtual-node=false']),
    ...amounts,
  ]
}
