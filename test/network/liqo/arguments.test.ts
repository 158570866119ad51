import test from 'ava'
import { peerArguments, type Sides, unpeerArguments } from '../../../lib/network/liqo/arguments.ts'
import type { Direction, Networking } from '../../../lib/network/liqo/peering.ts'
import { flags } from '../../../lib/rehearsal/liqo/flags.ts'

const side = (name: 'here' | 'there', clusterId: string) => ({
  ...{ name, clusterId, api: undefined as never, served: new Map() },
  kubeconfig: `/${clusterId}.yaml`,
  namespace: name === 'here' ? 'liqo' : 'liqo-system',
})
const sides: Sides = { here: side('here', 'catalyst'), there: side('there', 'aws-gpu') }
const slice = { name: 'aws-gpu', class: 'default', resources: { cpu: '16', memory: '64Gi' }, makesNode: true }
const consuming: Direction = { consumer: 'here', inBand: false, slices: [slice], virtualNodes: [] }
const gateway: Networking = { server: 'there', serviceType: 'NodePort', port: 51840, nodePort: 30742, mtu: 1340 }

/** The arguments behind those that name the clusters. */
const rest = (direction: Direction, networking: Networking | null, moved?: Map<string, string>) =>
  peerArguments(sides, { networking }, direction, moved).slice(9).join(' ')

test('liqoctl is run as the consumer, with the provider as the remote', (t) => {
  t.is(
    unpeerArguments(sides, { consumer: 'here' }, true).join(' '),
    'unpeer --kubeconfig /catalyst.yaml --namespace liqo --remote-kubeconfig /aws-gpu.yaml --remote-namespace liqo-system --delete-namespaces',
  )
  t.is(
    unpeerArguments(sides, { consumer: 'there' }, false).join(' '),
    'unpeer --kubeconfig /aws-gpu.yaml --namespace liqo-system --remote-kubeconfig /catalyst.yaml --remote-namespace liqo',
    'the first of two directions leaves the namespaces, as liqoctl demands',
  )
})

test('gateway, slice and resources are asked for as they were', (t) => {
  t.is(
    rest(consuming, gateway),
    '--gw-server-service-location Provider --gw-server-service-type NodePort --gw-server-service-port 51840 --gw-server-service-nodeport 30742 --mtu 1340 --resource-slice-class default --cpu 16 --memory 64Gi',
  )
  t.regex(rest(consuming, { ...gateway, server: 'here' }), /--gw-server-service-location Consumer/)
  t.regex(rest({ ...consuming, consumer: 'there' }, gateway), /--gw-server-service-location Consumer/)
})

test('a port or an address that the type of service does not have is not asked for', (t) => {
  const balanced = { ...gateway, serviceType: 'LoadBalancer', loadBalancerIP: '192.168.1.200' }
  t.regex(rest(consuming, balanced), /--gw-server-service-loadbalancerip 192\.168\.1\.200/)
  t.notRegex(rest(consuming, balanced), /nodeport/)
  t.notRegex(rest(consuming, { ...balanced, serviceType: 'NodePort' }), /loadbalancerip/)
})

test('an address that was given by hand is given as the new one where it has moved, and else as it was', (t) => {
  const moved = new Map([['192.168.1.54', '192.168.1.60']])
  const by = (clientAddress: string) =>
    rest(consuming, { ...gateway, server: 'here', clientAddress, clientPort: 51900 }, moved)
  t.regex(by('192.168.1.54'), /--gw-client-address 192\.168\.1\.60 --gw-client-port 51900/)
  t.regex(by('192.168.1.5'), /--gw-client-address 192\.168\.1\.5 /)
})

test('what was switched off stays off', (t) => {
  t.is(rest({ ...consuming, slices: [] }, null), '--networking-disabled --create-resource-slice=false')
  t.regex(rest({ ...consuming, slices: [{ ...slice, makesNode: false }] }, null), /--create-virtual-node=false/)
  t.regex(rest({ ...consuming, inBand: true }, null), /--in-band/)
  t.regex(rest({ ...consuming, proxyUrl: 'http://proxy:3128' }, null), /--proxy-url http:\/\/proxy:3128/)
})

test('every flag that is given is one of those that liqoctl has', (t) => {
  const all = { ...gateway, serviceType: 'LoadBalancer', loadBalancerIP: 'a', clientAddress: 'b', clientPort: 1 }
  const most = {
    ...consuming,
    inBand: true,
    proxyUrl: 'c',
    slices: [{ ...slice, makesNode: false, resources: { pods: '9' } }],
  }
  const given = [
    ...peerArguments(sides, { networking: all }, most),
    ...peerArguments(sides, { networking: gateway }, consuming),
    ...peerArguments(sides, { networking: null }, { ...consuming, slices: [] }),
  ]
  const names = (args: string[]) =>
    args.filter((arg) => arg.startsWith('--')).map((arg) => arg.slice(2).replace(/=.*/, ''))
  for (const name of names(given)) t.true(name in flags.peer, name)
  for (const name of names(unpeerArguments(sides, { consumer: 'here' }, true))) t.true(name in flags.unpeer, name)
})
