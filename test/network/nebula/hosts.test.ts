import test from 'ava'
import { hostEdits, inverse, withEdits } from '../../../lib/network/nebula/hosts.ts'
import { movesOf } from '../../../lib/network/nebula/moves.ts'

const moves = movesOf({
  nodeAddress: '192.168.1.54',
  newNodeAddress: '192.168.1.210',
  meshAddress: '10.42.1.1',
  newMeshAddress: '10.42.9.9',
})

const config = `# talos00 is 10.42.1.1 at 192.168.1.54\r
pki: { ca: /etc/nebula/ca.crt, cert: /etc/nebula/192.168.1.54/host.crt, key: /k }
static_host_map:
  "10.42.0.1": ["203.0.113.10:4242"]
  '10.42.1.1': ['192.168.1.54:4242', "192.168.1.540:4242"]   # home
  10.42.1.10:
    - 192.168.1.54
    - 192.168.1.54:4243
    - home.example.com:4242
lighthouse: { am_lighthouse: false, hosts: ["10.42.0.1", "10.42.1.1"] }
relay:
  relays:
    - 10.42.1.1
listen: { host: "192.168.1.54", port: 4242 }
firewall:
  inbound:
    - { port: any, proto: any, cidr: 10.42.1.1/32 }`

const moved = `# talos00 is 10.42.1.1 at 192.168.1.54\r
pki: { ca: /etc/nebula/ca.crt, cert: /etc/nebula/192.168.1.54/host.crt, key: /k }
static_host_map:
  "10.42.0.1": ["203.0.113.10:4242"]
  '10.42.9.9': ['192.168.1.210:4242', "192.168.1.540:4242"]   # home
  10.42.1.10:
    - 192.168.1.210
    - 192.168.1.210:4243
    - home.example.com:4242
lighthouse: { am_lighthouse: false, hosts: ["10.42.0.1", "10.42.9.9"] }
relay:
  relays:
    - 10.42.9.9
listen: { host: "192.168.1.210", port: 4242 }
firewall:
  inbound:
    - { port: any, proto: any, cidr: 10.42.1.1/32 }`

test('only addresses of hosts change; comments, paths, rules and longer numbers stay', (t) => {
  t.is(withEdits(config, hostEdits(config, moves)), moved)
})

test('each edit says which entry it is in', (t) => {
  t.deepEqual(
    hostEdits(config, moves).map(({ entry }) => entry),
    [
      'static_host_map: 10.42.1.1',
      'static_host_map: 10.42.1.1 at 192.168.1.54:4242',
      'static_host_map: 10.42.1.10 at 192.168.1.54',
      'static_host_map: 10.42.1.10 at 192.168.1.54:4243',
      'lighthouse.hosts: 10.42.1.1',
      'relay.relays: 10.42.1.1',
      'listen.host: 192.168.1.54',
    ],
  )
})

test('the inverse of edits gives back every byte, also where old and new address both stood before', (t) => {
  const both = config.replace('203.0.113.10', '192.168.1.210')
  for (const text of [config, both]) {
    const edits = hostEdits(text, moves)
    t.is(withEdits(withEdits(text, edits), inverse(edits)), text)
  }
})

test('a second look finds nothing, and what is no YAML is left alone', (t) => {
  t.deepEqual(hostEdits(moved, moves), [])
  t.deepEqual(hostEdits('static_host_map: [', moves), [])
})

test('a mesh address is not taken for one of the network that carries the mesh', (t) => {
  const text = 'static_host_map:\n  "192.168.1.54": ["10.42.1.1:4242"]\n'
  t.deepEqual(hostEdits(text, moves), [])
})
