import test from 'ava'
import type { KubernetesApi } from '../../lib/kubernetes/api.ts'
import { describeVolumes, takeVolumeInventory } from '../../lib/kubernetes/volume-inventory.ts'

const onNode = (node: string) => ({
  required: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }],
  },
})
const volume = (name: string, spec: object, phase = 'Bound') => ({
  metadata: { name },
  spec: {
    storageClassName: 'some',
    capacity: { storage: '10Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    claimRef: { namespace: 'media', name },
    ...spec,
  },
  status: { phase },
})
const claim = (name: string, spec: object = { volumeName: name }, phase = 'Bound') => ({
  metadata: { name, namespace: 'media' },
  spec: { storageClassName: 'some', resources: { requests: { storage: '5Gi' } }, ...spec },
  status: { phase },
})

const collections: Record<string, object[]> = {
  '/api/v1/persistentvolumes': [
    volume('nfs', { nfs: { server: 'nas', path: '/x' } }),
    volume('here', { hostPath: { path: '/var/x' }, nodeAffinity: onNode('talos00') }),
    volume('there', { local: { path: '/var/y' }, nodeAffinity: onNode('worker1') }),
    volume('nowhere', { hostPath: { path: '/var/z' } }),
    volume('csi-nfs', { csi: { driver: 'nfs.csi.k8s.io', volumeHandle: 'h1' } }),
    volume('longhorn', { csi: { driver: 'driver.longhorn.io', volumeHandle: 'h2' }, volumeMode: 'Block' }),
    volume('iscsi', { iscsi: { targetPortal: 'nas:3260' } }),
    volume('free', { nfs: { server: 'nas', path: '/free' }, claimRef: undefined }, 'Available'),
    volume(
      'released',
      { nfs: { server: 'nas', path: '/r' }, claimRef: { namespace: 'media', name: 'again' } },
      'Released',
    ),
  ],
  '/api/v1/persistentvolumeclaims': [
    ...['nfs', 'here', 'there', 'nowhere', 'csi-nfs', 'longhorn', 'iscsi'].map((name) => claim(name)),
    claim('again', {}, 'Pending'),
  ],
  '/apis/batch/v1/cronjobs': [
    {
      metadata: { name: 'restic', namespace: 'media' },
      spec: {
        schedule: '@daily',
        jobTemplate: {
          spec: { template: { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'nfs' } }] } } },
        },
      },
    },
  ],
}
const api = { list: async (path: string) => collections[path] ?? [] } as unknown as KubernetesApi
const settings = { localStorageClasses: ['local-path'], nfsStorageClasses: [], nodeName: 'talos00' }

test('every volume is told with its place and its fate, bound or not, and every claim without one', async (t) => {
  const all = await takeVolumeInventory(api, settings)
  t.deepEqual(
    all.map(({ volume, claim, phase, fate, place }) => [volume, claim, phase, fate, place]),
    [
      ['nfs', 'media/nfs', 'Bound', 'preserved', { type: 'nfs', server: 'nas', path: '/x' }],
      ['here', 'media/here', 'Bound', 'lost', { type: 'hostPath', path: '/var/x', node: 'talos00' }],
      ['there', 'media/there', 'Bound', 'preserved', { type: 'local', path: '/var/y', node: 'worker1' }],
      ['nowhere', 'media/nowhere', 'Bound', 'lost', { type: 'hostPath', path: '/var/z', node: null }],
      ['csi-nfs', 'media/csi-nfs', 'Bound', 'preserved', { type: 'csi', driver: 'nfs.csi.k8s.io', handle: 'h1' }],
      ['longhorn', 'media/longhorn', 'Bound', 'unknown', { type: 'csi', driver: 'driver.longhorn.io', handle: 'h2' }],
      ['iscsi', 'media/iscsi', 'Bound', 'unknown', { type: 'other', field: 'iscsi' }],
      ['free', null, 'Available', 'preserved', { type: 'nfs', server: 'nas', path: '/free' }],
      ['released', 'media/again', 'Released', 'preserved', { type: 'nfs', server: 'nas', path: '/r' }],
      [null, 'media/again', 'Pending', 'unknown', null],
    ],
  )
  t.deepEqual(all[0]?.usedBy, ['CronJob media/restic'])
  t.like(all[5], { mode: 'Block', size: '10Gi', reclaimPolicy: 'Retain', accessModes: ['ReadWriteOnce'] })
  t.like(all[9], { size: '5Gi', reclaimPolicy: null, mode: 'Filesystem' })
  t.deepEqual(describeVolumes(all), [
    'Volumes: 5 outside of the old machine, 2 on its disk, 2 of unknown whereabouts, 2 bound to no claim, 1 claims without a volume.',
  ])
})
