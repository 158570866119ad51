import test from 'ava'
import { readConfigMaps } from '../../../lib/backup/dependencies/config-maps.ts'
import { findNebula } from '../../../lib/backup/dependencies/nebula.ts'
import { deployment, object, readerOver, templatesOver } from './reader-over.ts'

const member = `
pki:
  ca: /etc/nebula/ca.crt
  cert: /etc/nebula/host.crt
  key: /etc/nebula/host.key
static_host_map:
  "10.42.0.1": ["203.0.113.10:4242", "lighthouse.example.com:4242"]
lighthouse:
  am_lighthouse: false
  hosts:
    - "10.42.0.1"
listen: { host: 0.0.0.0, port: 4242 }
punchy: { punch: true }
`
const lighthouse = `
pki:
  ca: |
    -----BEGIN NEBULA CERTIFICATE-----
    CANARY
  cert: /c
  key: |
    -----BEGIN NEBULA X25519 PRIVATE KEY-----
    CANARY
lighthouse: { am_lighthouse: true, hosts: null }
punchy: true
`

test("Nebula's settings are read out of ConfigMaps, and what is not one is passed over", async (t) => {
  const reader = await readerOver(t, {
    '/configmaps': [
      object('ConfigMap', 'nebula', {
        data: { 'config.yml': member, 'README.md': 'static_host_map: is explained here: x' },
      }),
      object('ConfigMap', 'lighthouse', { data: { 'config.yaml': lighthouse } }),
      object('ConfigMap', 'broken', { data: { 'config.yml': 'static_host_map: [not, a, map' } }),
      object('ConfigMap', 'other', { data: { lighthouse: 'the house by the sea' } }),
    ],
  })
  const { configs } = findNebula(await readConfigMaps(reader), [])
  t.deepEqual(configs, [
    {
      configMap: 'media/nebula',
      key: 'config.yml',
      amLighthouse: false,
      lighthouses: ['10.42.0.1'],
      staticHostMap: [{ mesh: '10.42.0.1', underlay: ['203.0.113.10:4242', 'lighthouse.example.com:4242'] }],
      listen: { host: '0.0.0.0', port: 4242 },
      punch: true,
      pki: { ca: '/etc/nebula/ca.crt', cert: '/etc/nebula/host.crt', key: '/etc/nebula/host.key' },
    },
    {
      configMap: 'media/lighthouse',
      key: 'config.yaml',
      amLighthouse: true,
      lighthouses: [],
      staticHostMap: [],
      listen: { host: null, port: null },
      punch: true,
      pki: { ca: 'inline', cert: '/c', key: 'inline' },
    },
  ])
  t.false(JSON.stringify(configs).includes('CANARY'))
})

test('what runs Nebula is named with the Secrets that hold its certificates', async (t) => {
  const nebula = (image: string) => ({
    hostNetwork: true,
    containers: [{ image }],
    volumes: [{ secret: { secretName: 'nebula-node' } }, { configMap: { name: 'nebula' } }],
  })
  const templates = await templatesOver(t, {
    'apps/daemonsets': [
      object('DaemonSet', 'nebula', { spec: { template: { spec: nebula('nebulaoss/nebula:1.9.7') } } }),
    ],
    'apps/deployments': [
      deployment('mirrored', nebula('registry.lan/nebula@sha256:abc')),
      deployment('nebula-graph', nebula('vesoft/nebula-graphd:v3')),
    ],
  })
  const secrets = [{ secret: 'media/nebula-node', key: null }]
  t.deepEqual(findNebula([], templates).workloads, [
    { workload: 'Deployment media/mirrored', image: 'registry.lan/nebula@sha256:abc', hostNetwork: true, secrets },
    { workload: 'DaemonSet media/nebula', image: 'nebulaoss/nebula:1.9.7', hostNetwork: true, secrets },
  ])
})
