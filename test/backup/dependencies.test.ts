import test from 'ava'
import { describeDependencies, findDependencies } from '../../lib/backup/dependencies.ts'
import { instantClock } from '../kubernetes/list-server.ts'
import { clusterObject, clusterOf, deployment, object } from './dependencies/reader-over.ts'

const nebula = `static_host_map: { "10.42.0.1": ["203.0.113.10:4242"] }
lighthouse: { hosts: ["10.42.0.1"] }`

const objects = {
  '/persistentvolumes': [
    clusterObject('PersistentVolume', 'pv', { spec: { nfs: { server: '192.0.2.20', path: '/mnt' } } }),
  ],
  '/configmaps': [object('ConfigMap', 'nebula', { data: { 'config.yml': nebula } })],
  '/secrets': [object('Secret', 'connect', { data: { token: 'Q0FOQVJZ' } })],
  'external-secrets.io/clustersecretstores': [
    clusterObject('ClusterSecretStore', 'onepassword', {
      spec: {
        provider: {
          onepassword: {
            connectHost: 'http://connect:8080',
            auth: { secretRef: { connectTokenSecretRef: { name: 'connect', key: 'token', namespace: 'media' } } },
          },
        },
      },
    }),
  ],
  'core.liqo.io/foreignclusters': [
    clusterObject('ForeignCluster', 'aws-gpu', {
      spec: { clusterID: 'aws-gpu' },
      status: { role: 'Provider', apiServerUrl: 'https://198.51.100.7:6443' },
    }),
  ],
  'networking.liqo.io/gatewayclients': [
    object('GatewayClient', 'aws-gpu', { spec: { endpoint: { addresses: ['203.0.113.10'], port: 51840 } } }),
  ],
  'apps/deployments': [deployment('plex', { containers: [{ image: 'plex' }] })],
}

test('all of it is told in a few lines, and no Secret is asked for', async (t) => {
  const asked: string[] = []
  const cluster = await clusterOf(t, objects, (_, url) => {
    asked.push(url.pathname)
    return undefined
  })
  const found = await findDependencies(cluster.api, cluster.discovery, instantClock())
  t.deepEqual(describeDependencies(found), [
    'The cluster depends on: 1 NFS exports on 192.0.2.20; 0 hosts; load balancers: none.',
    'Secrets come from onepassword at http://connect:8080 (ClusterSecretStore onepassword).',
    'The credentials for that are in: media/connect.',
    "Nebula's lighthouses: 10.42.0.1.",
    'Liqo is peered with aws-gpu (https://198.51.100.7:6443).',
    'A public address that has to stay: 203.0.113.10 (Nebula 10.42.0.1 (ConfigMap media/nebula), GatewayClient media/aws-gpu).',
    'A public address that has to stay: 198.51.100.7 (ForeignCluster aws-gpu).',
  ])
  t.true(asked.length > 5)
  t.false(asked.some((path) => path.includes('secrets') && !path.includes('secretstores')))
  t.false(JSON.stringify(found).includes('Q0FOQVJZ'))
})

test('what is not installed is not asked for', async (t) => {
  const cluster = await clusterOf(t, {})
  const found = await findDependencies(cluster.api, cluster.discovery, instantClock())
  t.is(cluster.requests.length, 0)
  t.deepEqual(describeDependencies(found), ['The cluster depends on: 0 NFS exports; 0 hosts; load balancers: none.'])
})

test('what the server refuses is named, and the rest is found', async (t) => {
  const cluster = await clusterOf(t, objects, (_, url) =>
    url.pathname.endsWith('clustersecretstores') ? { status: 403 } : undefined,
  )
  const found = await findDependencies(cluster.api, cluster.discovery, instantClock())
  t.is(found.nfs.length, 1)
  t.deepEqual(found.secretStores, [])
  t.regex(found.notRead.join(), /^clustersecretstores\.external-secrets\.io: .*403/)
})
