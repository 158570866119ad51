import test from 'ava'
import { findOnePassword, findSecretStores } from '../../../lib/backup/dependencies/secret-stores.ts'
import { clusterObject, deployment, object, readerOver, templatesOver } from './reader-over.ts'

const store = (name: string, provider: object) => clusterObject('ClusterSecretStore', name, { spec: { provider } })

test('a store names its provider, its server, its vaults, and the Secrets that hold its credential', async (t) => {
  const reader = await readerOver(t, {
    'external-secrets.io/clustersecretstores': [
      store('connect', {
        onepassword: {
          connectHost: 'http://connect:8080',
          vaults: { homelab: 1, shared: 2 },
          auth: {
            secretRef: { connectTokenSecretRef: { name: 'connect', key: 'token', namespace: 'external-secrets' } },
          },
        },
      }),
      store('sdk', {
        onepasswordSDK: {
          vault: 'homelab',
          auth: { serviceAccountSecretRef: { name: 'service-account', key: 'token', namespace: 'security' } },
        },
      }),
      store('doppler', {
        doppler: { auth: { secretRef: { dopplerToken: { name: 'doppler', namespace: 'security' } } } },
      }),
      store('vault', {
        vault: {
          server: 'https://vault.lan',
          caProvider: { type: 'Secret', name: 'vault-ca', key: 'ca.crt', namespace: 'security' },
          auth: { tokenSecretRef: { name: 'vault-token', key: 'token', namespace: 'security' } },
        },
      }),
      store('ca-in-a-config-map', {
        vault: {
          caProvider: { type: 'ConfigMap', name: 'no-secret', key: 'ca.crt' },
          auth: { kubernetes: { role: 'r' } },
        },
      }),
    ],
    'external-secrets.io/secretstores': [
      object('SecretStore', 'own', {
        spec: {
          provider: {
            aws: { region: 'eu-central-1', auth: { secretRef: { accessKeyIDSecretRef: { name: 'aws', key: 'id' } } } },
          },
        },
      }),
    ],
  })
  const found = await findSecretStores(reader)
  t.deepEqual(
    found.map(({ store, provider, vaults, credentials }) => [
      store,
      provider,
      vaults.join(),
      credentials.map(({ secret, key }) => `${secret} ${key}`).join(),
    ]),
    [
      ['ClusterSecretStore connect', 'onepassword', 'homelab,shared', 'external-secrets/connect token'],
      ['ClusterSecretStore sdk', 'onepasswordSDK', 'homelab', 'security/service-account token'],
      ['ClusterSecretStore doppler', 'doppler', '', 'security/doppler null'],
      ['ClusterSecretStore vault', 'vault', '', 'security/vault-ca ca.crt,security/vault-token token'],
      ['ClusterSecretStore ca-in-a-config-map', 'vault', '', ''],
      ['SecretStore media/own', 'aws', '', 'media/aws id'],
    ],
  )
  t.is(found[0]?.server, 'http://connect:8080')
  t.is(found[3]?.server, 'https://vault.lan')
})

const fromSecret = (name: string, secret: string, key: string) => ({
  name,
  valueFrom: { secretKeyRef: { name: secret, key } },
})

test("1Password's own servers are found by their images, or by their variables where the image is a copy", async (t) => {
  const templates = await templatesOver(t, {
    'apps/deployments': [
      deployment('onepassword-connect', {
        containers: [
          { image: 'docker.io/1password/connect-api:1.7.4', env: [fromSecret('OP_SESSION', 'op', 'credentials.json')] },
          {
            image: 'docker.io/1password/connect-sync:1.7.4',
            env: [fromSecret('OP_SESSION', 'op', 'credentials.json')],
          },
        ],
      }),
      deployment('operator', {
        containers: [
          {
            image: 'registry.lan/mirror/op-operator:1',
            env: [
              { name: 'OP_CONNECT_HOST', value: 'http://connect:8080' },
              fromSecret('OP_CONNECT_TOKEN', 'op-token', 'token'),
            ],
          },
        ],
      }),
      deployment('mounts-it', {
        containers: [{ image: '1password/connect-api:1', envFrom: [{ secretRef: { name: 'whole' } }] }],
        volumes: [{ secret: { secretName: 'mounted' } }],
      }),
      deployment('plex', { containers: [{ image: 'plex', env: [fromSecret('TOKEN', 'plex', 'token')] }] }),
    ],
  })
  t.deepEqual(
    findOnePassword(templates).map(({ workload, connectHost, credentials }) => [workload, connectHost, credentials]),
    [
      ['Deployment media/onepassword-connect', null, [{ secret: 'media/op', key: 'credentials.json' }]],
      ['Deployment media/operator', 'http://connect:8080', [{ secret: 'media/op-token', key: 'token' }]],
      [
        'Deployment media/mounts-it',
        null,
        [
          { secret: 'media/whole', key: null },
          { secret: 'media/mounted', key: null },
        ],
      ],
    ],
  )
})
