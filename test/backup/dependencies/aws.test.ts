import test from 'ava'
import { findAws } from '../../../lib/backup/dependencies/aws.ts'
import { readConfigMaps } from '../../../lib/backup/dependencies/config-maps.ts'
import { readTemplates } from '../../../lib/kubernetes/templates.ts'
import { clusterObject, deployment, object, readerOver } from './reader-over.ts'

test('what the cluster shows of AWS is found: machines, roles, regions, zones, and credentials by their names alone', async (t) => {
  const canary = 'CANARY-aws'
  const reader = await readerOver(t, {
    '/nodes': [
      clusterObject('Node', 'gpu', { spec: { providerID: 'aws:///eu-central-1a/i-0123456789abcdef0' } }),
      clusterObject('Node', 'talos00', { spec: {} }),
    ],
    '/serviceaccounts': [
      {
        ...object('ServiceAccount', 'loki', {}),
        metadata: {
          name: 'loki',
          namespace: 'logs',
          annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/loki' },
        },
      },
    ],
    '/configmaps': [
      object('ConfigMap', 'env', { data: { AWS_REGION: 'eu-west-1', AWS_SESSION_TOKEN: canary, other: 'x' } }),
    ],
    'apps/deployments': [
      deployment('loki', {
        containers: [
          {
            env: [
              { name: 'AWS_DEFAULT_REGION', value: 'eu-central-1' },
              { name: 'AWS_ENDPOINT_URL_S3', value: `https://user:${canary}@minio.lan` },
              { name: 'AWS_ACCESS_KEY_ID', value: canary },
              { name: 'AWS_SECRET_ACCESS_KEY', valueFrom: { secretKeyRef: { name: 's3', key: 'secret' } } },
              { name: 'OTHER', valueFrom: { secretKeyRef: { name: 'not-aws', key: 'x' } } },
            ],
          },
        ],
      }),
    ],
    'cert-manager.io/clusterissuers': [
      clusterObject('ClusterIssuer', 'letsencrypt', {
        spec: {
          acme: { solvers: [{ dns01: { route53: { region: 'eu-central-1', hostedZoneID: 'Z1' } } }, { http01: {} }] },
        },
      }),
    ],
  })
  const aws = await findAws(reader, await readTemplates(reader), await readConfigMaps(reader))
  t.deepEqual(aws.nodes, [{ node: 'gpu', zone: 'eu-central-1a', instance: 'i-0123456789abcdef0' }])
  t.deepEqual(aws.roles, [{ serviceAccount: 'logs/loki', role: 'arn:aws:iam::123456789012:role/loki' }])
  t.deepEqual(
    aws.settings.map(({ where, name, value }) => [where, name, value?.replace(/CANARY.*@/, '…@') ?? null]),
    [
      ['Deployment media/loki', 'AWS_DEFAULT_REGION', 'eu-central-1'],
      ['Deployment media/loki', 'AWS_ENDPOINT_URL_S3', 'https://user:…@minio.lan'],
      ['Deployment media/loki', 'AWS_ACCESS_KEY_ID', null],
      ['Deployment media/loki', 'AWS_SECRET_ACCESS_KEY', null],
      ['ConfigMap media/env', 'AWS_REGION', 'eu-west-1'],
      ['ConfigMap media/env', 'AWS_SESSION_TOKEN', null],
    ],
  )
  t.deepEqual(aws.credentials, [{ secret: 'media/s3', key: 'secret', usedBy: 'Deployment media/loki' }])
  t.deepEqual(aws.hostedZones, [{ issuer: 'ClusterIssuer letsencrypt', region: 'eu-central-1', zone: 'Z1' }])
})
