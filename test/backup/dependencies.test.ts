import test from 'ava'
import { describeDependencies, findDependencies, hostsOfRule } from '../../lib/backup/dependencies.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'

const object = (name: string, rest: object): KubernetesObject => ({ metadata: { name, namespace: 'media' }, ...rest })

const cluster: Record<string, KubernetesObject[]> = {
  '/persistentvolumes': [
    object('pv-1', { spec: { nfs: { server: '192.0.2.20', path: '/mnt/appdata' } } }),
    object('pv-2', { spec: { nfs: { server: '192.0.2.20', path: '/mnt/appdata' } } }),
    object('pv-3', {
      spec: { csi: { driver: 'nfs.csi.k8s.io', volumeAttributes: { server: 'nas.lan', share: '/media' } } },
    }),
    object('pv-4', { spec: { hostPath: { path: '/var/x' } } }),
  ],
  'storage.k8s.io/storageclasses': [
    object('synology-nfs', { parameters: { server: '2001:db8::1', share: '/volume1' } }),
    object('local-path', { parameters: {} }),
  ],
  'apps/deployments': [
    object('nfs-provisioner', {
      kind: 'Deployment',
      spec: { template: { spec: { volumes: [{ emptyDir: {} }, { nfs: { server: '192.0.2.21', path: '/export' } }] } } },
    }),
  ],
  'networking.k8s.io/ingresses': [object('plex', { spec: { rules: [{ host: 'plex.talos00' }, {}] } })],
  'traefik.io/ingressroutes': [
    object('grafana', { spec: { routes: [{ match: 'Host(`grafana.talos00`) && PathPrefix(`/x`)' }] } }),
  ],
  'gateway.networking.k8s.io/httproutes': [object('web', { spec: { hostnames: ['web.talos00'] } })],
  '/services': [object('traefik', { status: { loadBalancer: { ingress: [{ ip: '192.168.1.60' }] } } })],
  'external-secrets.io/clustersecretstores': [
    object('onepassword', { spec: { provider: { onepassword: { connectHost: 'http://connect:8080' } } } }),
  ],
}

const api = { list: async (path: string) => cluster[path] ?? [] } as unknown as KubernetesApi
const resources = Object.keys(cluster).map((path) => {
  const [group = '', resource = ''] = path.split('/')
  return { group, version: 'v1', resource, kind: 'X', namespaced: true, path }
})

test('NFS exports are found in volumes, CSI volumes, storage classes and workloads, each once with its users', async (t) => {
  const { nfs } = await findDependencies(api, { resources, dead: [] })
  t.deepEqual(
    nfs.map(({ server, export: path, usedBy }) => [server, path, usedBy.length]),
    [
      ['192.0.2.20', '/mnt/appdata', 2],
      ['nas.lan', '/media', 1],
      ['2001:db8::1', '/volume1', 1],
      ['192.0.2.21', '/export', 1],
    ],
  )
})

test('hosts, load balancer addresses and secret stores are found', async (t) => {
  const found = await findDependencies(api, { resources, dead: [] })
  t.deepEqual(
    found.hosts.map(({ host }) => host),
    ['plex.talos00', 'grafana.talos00', 'web.talos00'],
  )
  t.deepEqual(
    found.addresses.map(({ address }) => address),
    ['192.168.1.60'],
  )
  t.like(found.secretStores[0], { provider: 'onepassword', server: 'http://connect:8080' })
  t.regex(describeDependencies(found), /4 NFS exports on 192\.0\.2\.20, nas\.lan, .*; 3 hosts;/)
})

test('what is not installed is not asked for', async (t) => {
  const found = await findDependencies(api, { resources: [], dead: [] })
  t.deepEqual(found, { nfs: [], hosts: [], addresses: [], secretStores: [] })
})

test("the hosts of Traefik's rules are read in all their forms", (t) => {
  t.deepEqual(hostsOfRule('Host(`a.x`, `b.x`) || (HostSNI("c.x") && !Path(`/d.x`))'), ['a.x', 'b.x', 'c.x'])
  t.deepEqual(hostsOfRule('PathPrefix(`/`) && Headers(`Host`, `h`)'), [])
})
