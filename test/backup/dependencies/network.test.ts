import test from 'ava'
import { readConfigMaps } from '../../../lib/backup/dependencies/config-maps.ts'
import { findDns, findLoadBalancers, findPools, publicAddresses } from '../../../lib/backup/dependencies/network.ts'
import { clusterObject, deployment, object, readerOver, templatesOver } from './reader-over.ts'

test('addresses that are given out, and the pools that they come from, are found', async (t) => {
  const reader = await readerOver(t, {
    '/services': [
      object('Service', 'traefik', { status: { loadBalancer: { ingress: [{ ip: '192.168.1.60' }] } } }),
      object('Service', 'dns', {
        status: { loadBalancer: { ingress: [{ ip: '192.168.1.60' }, { hostname: 'lb.lan' }] } },
      }),
      object('Service', 'plain', { status: { loadBalancer: {} } }),
    ],
    'metallb.io/ipaddresspools': [
      object('IPAddressPool', 'house', { spec: { addresses: ['192.168.1.60-192.168.1.70'] } }),
    ],
    'cilium.io/ciliumloadbalancerippools': [
      clusterObject('CiliumLoadBalancerIPPool', 'pool', {
        spec: { blocks: [{ cidr: '10.0.0.0/29' }, { start: '10.0.1.1', stop: '10.0.1.9' }, { start: '10.0.2.1' }] },
      }),
    ],
    '/configmaps': [object('ConfigMap', 'kubevip', { data: { 'range-global': '10.1.0.1-10.1.0.9' } }, 'kube-system')],
  })
  t.deepEqual(await findLoadBalancers(reader), [
    { address: '192.168.1.60', usedBy: ['Service media/traefik', 'Service media/dns'] },
    { address: 'lb.lan', usedBy: ['Service media/dns'] },
  ])
  t.deepEqual(await findPools(reader, await readConfigMaps(reader)), [
    { pool: 'IPAddressPool media/house', addresses: ['192.168.1.60-192.168.1.70'] },
    { pool: 'CiliumLoadBalancerIPPool pool', addresses: ['10.0.0.0/29', '10.0.1.1-10.0.1.9', '10.0.2.1-10.0.2.1'] },
    { pool: 'ConfigMap kube-system/kubevip range-global', addresses: ['10.1.0.1-10.1.0.9'] },
  ])
})

const corefile = `
.:53 {
    errors
    hosts {
        192.168.1.54 talos00 grafana.talos00
        # 192.168.1.55 commented.out
        fallthrough
    }
    forward . 192.168.1.1 tls://9.9.9.9 {
        max_concurrent 1000
    }
}
lan:53 {
    forward lan 192.168.1.1
}
`

test('external-dns, and what CoreDNS forwards and answers by itself, are found', async (t) => {
  const templates = await templatesOver(t, {
    'apps/deployments': [
      deployment('external-dns', {
        containers: [
          {
            image: 'registry.k8s.io/external-dns/external-dns:v0.18.0',
            args: ['--provider=cloudflare', '--domain-filter=example.com', '--domain-filter=example.org'],
            env: [{ name: 'CF_API_TOKEN', valueFrom: { secretKeyRef: { name: 'cloudflare', key: 'token' } } }],
          },
        ],
      }),
      deployment('plex', { containers: [{ image: 'plex' }] }),
    ],
  })
  const reader = await readerOver(t, {
    '/configmaps': [
      object('ConfigMap', 'coredns', { data: { Corefile: corefile } }, 'kube-system'),
      object('ConfigMap', 'coredns', { data: { Corefile: 'forward . 6.6.6.6' } }, 'media'),
    ],
  })
  t.deepEqual(findDns(templates, await readConfigMaps(reader)), {
    externalDns: [
      {
        workload: 'Deployment media/external-dns',
        provider: 'cloudflare',
        domains: ['example.com', 'example.org'],
        credentials: [{ secret: 'media/cloudflare', key: 'token' }],
      },
    ],
    forwards: [
      { configMap: 'kube-system/coredns', zone: '.', to: ['192.168.1.1', 'tls://9.9.9.9'] },
      { configMap: 'kube-system/coredns', zone: 'lan', to: ['192.168.1.1'] },
    ],
    hosts: [{ configMap: 'kube-system/coredns', address: '192.168.1.54', names: ['talos00', 'grafana.talos00'] }],
  })
})

test('of all places that are gone to, the public addresses have to stay', (t) => {
  const by = 'Nebula'
  const places = [
    '203.0.113.10:4242',
    '192.168.1.9:4242',
    '[2a00:1450::1]:4242',
    'https://198.51.100.7:6443/path',
    'https://10.42.0.1:6443',
    'fd00::1',
    'lighthouse.example.com:4242',
    '100.64.0.1:1',
    '203.0.113.10:9999',
  ]
  t.deepEqual(
    publicAddresses(places.map((place) => ({ place, by }))).map(({ address }) => address),
    ['203.0.113.10', '2a00:1450::1', '198.51.100.7'],
  )
})
