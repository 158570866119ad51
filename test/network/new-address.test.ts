import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { OperatorError } from '../../lib/migration/errors.ts'
import { parseAddress } from '../../lib/network/addresses.ts'
import { cardAt, listensAt, livesAt } from '../../lib/network/in-use.ts'
import { refusals, refuseAddress, type Surroundings } from '../../lib/network/new-address.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const old = parseAddress('192.168.1.54', 'test')
const home: Surroundings = {
  subnets: ['192.168.1.54/24'],
  pools: [
    { by: 'CiliumLoadBalancerIPPool lan', range: '192.168.1.224/28' },
    { by: 'CiliumLoadBalancerIPPool guests', range: '192.168.1.200-192.168.1.210' },
    { by: 'IPAddressPool metallb-system/default', range: '192.168.1.240-192.168.1.250' },
    { by: 'Service traefik/traefik', range: '192.168.1.80' },
  ],
  clusterNetworks: [
    { by: 'the network of pods', range: '10.244.0.0/16' },
    { by: 'the network of Services', range: '10.96.0.0/12' },
  ],
  nodes: [
    { by: 'Node talos00', range: '192.168.1.54' },
    { by: 'Node worker01', range: '192.168.1.55' },
  ],
}
const why = (next: string, more: Partial<Surroundings> = {}) =>
  refusals({ old, next: parseAddress(next, 'test'), ...home, ...more }).map(({ evidence }) => evidence)

test('an address of the subnet that nobody has is taken', (t) => {
  t.deepEqual(why('192.168.1.57'), [])
  t.deepEqual(why('192.168.1.211'), [], 'right behind a pool')
})

test('the old address is refused', (t) => t.deepEqual(why('192.168.1.54'), ['it is the old address']))

test("another node's address is refused", (t) =>
  t.deepEqual(why('192.168.1.55'), ['it is the address of Node worker01']))

test('an address in a pool of Cilium or MetalLB is refused, whatever way the pool is written', (t) => {
  t.deepEqual(why('192.168.1.225'), ['it lies in 192.168.1.224/28 of CiliumLoadBalancerIPPool lan'])
  t.deepEqual(why('192.168.1.200'), ['it lies in 192.168.1.200-192.168.1.210 of CiliumLoadBalancerIPPool guests'])
  t.deepEqual(why('192.168.1.210').length, 1)
  t.regex(why('192.168.1.250').join(), /IPAddressPool metallb-system\/default/)
})

test('an address that a Service has been given is refused', (t) =>
  t.deepEqual(why('192.168.1.80'), ['it lies in 192.168.1.80 of Service traefik/traefik']))

test('an address among the pods or the Services is refused, and told to be out of the subnet too', (t) => {
  t.deepEqual(why('10.244.3.4'), [
    "it is not in the old machine's subnet (192.168.1.54/24)",
    'it lies in 10.244.0.0/16, the network of pods',
  ])
  t.regex(why('10.97.0.1').join(), /the network of Services/)
})

test("an address out of the machine's subnet is refused", (t) => {
  t.deepEqual(why('192.168.2.57'), ["it is not in the old machine's subnet (192.168.1.54/24)"])
  t.deepEqual(why('fd00::57'), ["it is not in the old machine's subnet (192.168.1.54/24)"])
  t.deepEqual(why('fd00::57', { subnets: ['192.168.1.54/24', 'fd00::54/64'] }), [])
})

test('the addresses of the network itself and of everybody are refused', (t) => {
  t.deepEqual(why('192.168.1.0'), ["it is the network's own address (192.168.1.54/24)"])
  t.deepEqual(why('192.168.1.255'), ['it is the broadcast address (192.168.1.54/24)'])
  t.deepEqual(why('192.168.1.52', { subnets: ['192.168.1.53/31'] }), [], 'two hosts have no broadcast')
})

test('all refusals are told at once, each with its way out', (t) => {
  const next = parseAddress('10.244.3.4', 'test')
  const error = t.throws(() => refuseAddress(next, refusals({ old, next, ...home })), { instanceOf: OperatorError })
  t.is(error.what, "NEW_TALOS_NODE=10.244.3.4 cannot be the new machine's address.")
  t.regex(error.means ?? '', /subnet.*; it lies in 10\.244\.0\.0\/16/)
  t.regex(error.next ?? '', /Choose another NEW_TALOS_NODE\./)
  t.notThrows(() => refuseAddress(next, []))
})

const free = parseAddress('127.0.7.9', 'test')
const taken = parseAddress('127.0.7.10', 'test')

test('an address at which something listens is in use', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(10250, taken, resolve))
  t.teardown(() => server.close())
  t.is(await listensAt(taken), 'something listens there: kubelet (10250)')
  t.is(await livesAt(taken), 'something listens there: kubelet (10250)')
})

test('on loopback an address at which nothing listens is free, for the kernel answers for all of them', async (t) =>
  t.is(await livesAt(free), undefined))

test('who answers ARP has the address, and an entry without an answer says nothing', async (t) => {
  const table = join(temporaryFolder('arp'), 'arp')
  const head = 'IP address       HW type     Flags       HW address            Mask     Device'
  const row = (flags: string) =>
    writeFileSync(table, `${head}\n192.0.2.77       0x1         ${flags}         02:00:00:00:00:77     *        eth0\n`)
  const address = parseAddress('192.0.2.77', 'test')
  row('0x0')
  t.is(await cardAt(address, table), undefined)
  row('0x2')
  t.is(await cardAt(address, table), '02:00:00:00:00:77')
  t.is(await cardAt(parseAddress('192.0.2.7', 'test'), table), undefined)
  t.is(await cardAt(address, `${table}.absent`), undefined)
})
