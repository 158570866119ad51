import { custom } from './random-custom.ts'
import { binary, inCore, inGroup, metadata, type Planned, podSpec, type Random, text } from './random-objects.ts'

type Make = (random: Random, name: string, namespace: string) => Planned

/** One object of every kind that lives in a namespace. */
export const namespaced: Make[] = [
  (random, name, namespace) => ({
    collection: inCore(namespace, 'configmaps'),
    object: {
      metadata: metadata(random, name, namespace),
      data: { text: text(random), empty: '', 'ca.crt': text(random) },
      binaryData: { 'b.bin': binary(random) },
      ...(random.chance(0.1) ? { immutable: true } : {}),
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'secrets'),
    object: {
      metadata: metadata(random, name, namespace),
      type: random.pick(['Opaque', 'example.org/own']),
      data: { key: binary(random, 2000), empty: '' },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'services'),
    object: { metadata: metadata(random, name, namespace), spec: service(random) },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'deployments'),
    object: { metadata: metadata(random, name, namespace), spec: workload(random, name) },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'daemonsets'),
    object: { metadata: metadata(random, name, namespace), spec: { ...workload(random, name), replicas: undefined } },
  }),
  (random, name, namespace) => ({
    collection: inGroup('apps/v1', namespace, 'statefulsets'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        ...workload(random, name),
        serviceName: name,
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('batch/v1', namespace, 'jobs'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        suspend: true,
        backoffLimit: random.below(6),
        template: { metadata: { labels: { job: name } }, spec: { ...podSpec(random), restartPolicy: 'Never' } },
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('batch/v1', namespace, 'cronjobs'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        schedule: '0 3 * * *',
        jobTemplate: { spec: { template: { spec: { ...podSpec(random), restartPolicy: 'OnFailure' } } } },
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'pods'),
    object: { metadata: metadata(random, name, namespace), spec: podSpec(random) },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'serviceaccounts'),
    object: { metadata: metadata(random, name, namespace), imagePullSecrets: [{ name: 'pull' }] },
  }),
  (random, name, namespace) => ({
    collection: inGroup('rbac.authorization.k8s.io/v1', namespace, 'roles'),
    object: {
      metadata: metadata(random, name, namespace),
      rules: [{ apiGroups: ['', 'apps'], resources: ['*'], verbs: ['get', random.pick(['list', 'watch'])] }],
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('rbac.authorization.k8s.io/v1', namespace, 'rolebindings'),
    object: {
      metadata: metadata(random, name, namespace),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [
        { kind: 'ServiceAccount', name, namespace },
        { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: text(random) },
      ],
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('networking.k8s.io/v1', namespace, 'ingresses'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        rules: [
          {
            host: `${name}.example`,
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: { number: 80 } } } }] },
          },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('autoscaling/v2', namespace, 'horizontalpodautoscalers'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        maxReplicas: 3,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        ],
      },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('policy/v1', namespace, 'poddisruptionbudgets'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { maxUnavailable: '30%', selector: { matchLabels: { app: name } } },
    },
  }),
  (random, name, namespace) => ({
    collection: inGroup('networking.k8s.io/v1', namespace, 'networkpolicies'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'limitranges'),
    object: {
      metadata: metadata(random, name, namespace),
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '10Ti' } }] },
    },
  }),
  (random, name, namespace) => ({
    collection: inCore(namespace, 'endpoints'),
    object: {
      metadata: metadata(random, name, namespace),
      subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ port: 9100, protocol: 'TCP' }] }],
    },
  }),
  (random, name, namespace) => custom(random, 'widgets', metadata(random, name, namespace)),
  (random, name, namespace) => custom(random, 'relics', metadata(random, name, namespace)),
]

function workload(random: Random, name: string) {
  return {
    replicas: random.below(4),
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name }, annotations: { note: text(random) } }, spec: podSpec(random) },
  }
}

function service(random: Random): Record<string, unknown> {
  const ports = [
    { name: 'tcp', port: 53, protocol: 'TCP' },
    { name: 'udp', port: 53, protocol: 'UDP', targetPort: 'dns' },
  ]
  const selector = { app: 'plex' }
  return random.pick([
    { ports, selector },
    { ports, selector, type: 'NodePort' },
    { ports, selector, clusterIP: 'None' },
    { type: 'ExternalName', externalName: 'nas.example' },
    { ports: ports.slice(0, 1), selector, type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
  ])
}
