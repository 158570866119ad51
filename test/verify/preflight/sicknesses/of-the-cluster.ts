import type { KubernetesObject } from '../../../../lib/kubernetes/api.ts'
import { at } from '../healthy-cluster.ts'
import { certificate } from '../healthy-homelab.ts'
import { added, dayMs, type Sickness, status, unready } from './sickness.ts'

const pods = '/api/v1/namespaces/default/pods'
const isReady = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
const pod = (name: string, spec: Record<string, unknown>, owned = true): KubernetesObject => {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'uid-of-web', controller: true }
  return {
    metadata: { name, labels: { app: name }, ...(owned ? { ownerReferences: [owner] } : {}) },
    spec: { nodeName: 'talos00', containers: [{ name: 'c', image: 'i' }], ...spec },
    status: isReady,
  }
}

const local: KubernetesObject = {
  metadata: { name: 'db' },
  spec: {
    storageClassName: 'local-path',
    accessModes: ['ReadWriteOnce'],
    capacity: { storage: '1Gi' },
    hostPath: { path: '/var/db' },
    claimRef: { namespace: 'default', name: 'db' },
  },
  status: { phase: 'Bound' },
}
const itsClaim: KubernetesObject = {
  metadata: { name: 'db' },
  spec: {
    storageClassName: 'local-path',
    accessModes: ['ReadWriteOnce'],
    volumeName: 'db',
    resources: { requests: { storage: '1Gi' } },
  },
  status: { phase: 'Bound' },
}
const claims = '/api/v1/namespaces/default/persistentvolumeclaims'

const issuers = '/apis/cert-manager.io/v1/clusterissuers'
const houseIssuer = {
  ...{ apiVersion: 'cert-manager.io/v1', kind: 'ClusterIssuer', metadata: { name: 'house' } },
  spec: { ca: { secretName: 'house-ca' } },
}

export const ofTheCluster: readonly Sickness[] = [
  {
    what: 'a worker that is not ready',
    sicken: async (homelab) => {
      const node = await homelab.cluster.api.get(at.worker)
      return status(at.worker, { ...(node.status as object), ...unready('kubelet stopped') })(homelab)
    },
    found: [['warning', 'Nodes are ready', 'Node talos01']],
  },
  {
    what: 'a node that is cordoned already',
    sicken: async ({ cluster: { api } }) => {
      await api.mergePatch(at.worker, { spec: { unschedulable: true } })
      return () => api.mergePatch(at.worker, { spec: { unschedulable: null, taints: null } })
    },
    found: [['warning', 'Nodes are schedulable', 'Node talos01']],
  },
  {
    what: 'a TALOS_NODE that is the address of another node',
    sicken: async (homelab) => {
      const node = await homelab.cluster.api.get(at.control)
      const addresses = [{ type: 'InternalIP', address: '192.168.1.77' }]
      return status(at.control, { ...(node.status as object), addresses })(homelab)
    },
    found: [['error', 'TALOS_NODE is the address of the Node', 'Node talos00']],
  },
  {
    what: 'a Deployment without a ready pod',
    sicken: status(at.web, { replicas: 1, readyReplicas: 0, observedGeneration: 1 }),
    found: [['warning', 'Workloads are ready', 'Deployment default/web']],
  },
  {
    what: 'a Cilium agent that is not ready',
    sicken: status(at.cilium, { numberReady: 1 }),
    found: [
      ['error', 'Cilium is ready, and finds the API without the old address', 'DaemonSet kube-system/cilium'],
      ['warning', 'Workloads are ready', 'DaemonSet kube-system/cilium'],
    ],
  },
  {
    what: 'a claim that is not bound',
    sicken: status(at.claim, { phase: 'Lost' }),
    found: [['warning', 'PersistentVolumeClaims are bound', 'PersistentVolumeClaim default/media']],
  },
  {
    what: 'a volume that has failed',
    sicken: status(at.volume, { phase: 'Failed' }),
    found: [['warning', 'PersistentVolumes are bound', 'PersistentVolume media']],
  },
  {
    what: 'a local volume that nobody has given up',
    sicken: added(['/api/v1/persistentvolumes', local], [claims, itsClaim]),
    found: [['error', 'No volume is lost unasked', 'PersistentVolumeClaim default/db']],
  },
  {
    what: 'a Flux that cannot clone',
    sicken: status(at.source, { ...unready('cannot clone') }),
    found: [['warning', 'Flux has reconciled', 'GitRepository flux-system/homelab']],
  },
  {
    what: 'a Flux that cannot clone, where the cluster is to be made anew from Git',
    settings: { RECOVERY: 'gitops' },
    sicken: status(at.source, { ...unready('cannot clone') }),
    found: [['error', 'Flux has reconciled', 'GitRepository flux-system/homelab']],
  },
  {
    what: 'a Kustomization that does not apply',
    sicken: status(at.kustomization, { ...unready('no such file') }),
    found: [['warning', 'Flux has reconciled', 'Kustomization flux-system/apps']],
  },
  {
    what: 'an Application that is out of sync',
    sicken: status(at.application, { sync: { status: 'OutOfSync' }, health: { status: 'Degraded' } }),
    found: [['warning', 'Argo CD has synced', 'Application argocd/media']],
  },
  {
    what: 'an ExternalSecret that is not synced',
    sicken: status(at.externalSecret, unready('no such item')),
    found: [['warning', 'External Secrets are synced', 'ExternalSecret default/token']],
  },
  {
    what: 'a 1Password that does not answer, where its Secrets are to be fetched anew',
    settings: { RECOVERY: 'gitops' },
    sicken: status(at.store, unready('connection refused')),
    found: [['error', 'The stores that Secrets come from (1Password) are ready', 'ClusterSecretStore onepassword']],
  },
  {
    what: "a cert-manager's CA that ends tonight",
    sicken: async (homelab) => {
      const notAfter = new Date(Date.now() + dayMs / 2).toISOString()
      return status(at.certificate, { conditions: [{ type: 'Ready', status: 'True' }], notAfter })(homelab)
    },
    found: [
      ['error', "cert-manager's certificates are issued, and do not expire tonight", 'Certificate default/homelab-ca'],
    ],
  },
  {
    what: 'a certificate that cert-manager could not issue',
    sicken: status(at.certificate, unready('the issuer is not ready')),
    found: [
      [
        'warning',
        "cert-manager's certificates are issued, and do not expire tonight",
        'Certificate default/homelab-ca',
      ],
    ],
  },
  {
    what: 'a CA that a person has made for cert-manager, and that ends in five days',
    sicken: async (homelab) => {
      const crt = certificate(homelab.folder, '/CN=house', 5)
      const secret = { metadata: { name: 'house-ca' }, data: { 'tls.crt': crt, 'tls.key': '' } }
      return added(['/api/v1/namespaces/cert-manager/secrets', secret], [issuers, houseIssuer])(homelab)
    },
    found: [['warning', "The CAs of cert-manager's issuers do not expire tonight", 'ClusterIssuer house']],
  },
  {
    what: 'a pod that nobody would make anew',
    sicken: added([pods, pod('lonely', {}, false)]),
    found: [['error', 'Nothing blocks the drain', 'Pod default/lonely']],
  },
  {
    what: 'a budget that never lets its pod go',
    sicken: added(
      [pods, pod('guarded', {})],
      [
        '/apis/policy/v1/namespaces/default/poddisruptionbudgets',
        {
          metadata: { name: 'keep' },
          spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
          status: {
            ...{ disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
            observedGeneration: 1,
          },
        },
      ],
    ),
    found: [['error', 'Nothing blocks the drain', 'PodDisruptionBudget default/keep']],
  },
  {
    what: 'a pod of nobody, on another node, that is not ready',
    sicken: added([
      pods,
      { ...pod('broken', { nodeName: 'talos01' }, false), status: { phase: 'Pending', conditions: [] } },
    ]),
    found: [['warning', 'Pods outside of workloads are ready', 'Pod default/broken']],
  },
  {
    what: 'a pod that may run on this node alone',
    sicken: added([pods, pod('pinned', { nodeSelector: { 'kubernetes.io/hostname': 'talos00' } })]),
    found: [['warning', 'What runs on the Node can run elsewhere', 'ReplicaSet default/web']],
  },
]
