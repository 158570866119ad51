import test from 'ava'
import { findNfs } from '../../../lib/backup/dependencies/nfs.ts'
import { readTemplates } from '../../../lib/kubernetes/templates.ts'
import { clusterObject, deployment, object, readerOver } from './reader-over.ts'

const env = (values: Record<string, string>) => Object.entries(values).map(([name, value]) => ({ name, value }))
const volume = (name: string, spec: object) => clusterObject('PersistentVolume', name, { spec })

const objects = {
  '/persistentvolumes': [
    volume('pv-1', { nfs: { server: '192.0.2.20', path: '/mnt/appdata' } }),
    volume('pv-2', { nfs: { server: '192.0.2.20', path: '/mnt/appdata' } }),
    volume('pv-3', { csi: { driver: 'nfs.csi.k8s.io', volumeAttributes: { server: 'nas.lan', share: '/media' } } }),
    volume('pv-4', { hostPath: { path: '/var/x' } }),
    volume('pv-5', {
      csi: {
        driver: 'org.democratic-csi.truenas',
        volumeAttributes: { node_attach_driver: 'nfs', server: 'truenas.lan', share: '/mnt/tank/v5' },
      },
    }),
    volume('pv-6', { csi: { driver: 'driver.longhorn.io', volumeAttributes: { share: 'true' } } }),
  ],
  'storage.k8s.io/storageclasses': [
    clusterObject('StorageClass', 'nfs-csi', { parameters: { server: '2001:db8::1', share: '/volume1' } }),
    clusterObject('StorageClass', 'synology', {
      parameters: { protocol: 'nfs', dsm: '192.0.2.30', location: '/volume2' },
    }),
    clusterObject('StorageClass', 'synology-iscsi', { parameters: { protocol: 'iscsi', dsm: '192.0.2.31' } }),
    clusterObject('StorageClass', 'local-path', { parameters: {} }),
  ],
  'apps/deployments': [
    deployment('provisioner', { containers: [{ env: env({ NFS_SERVER: '192.0.2.22', NFS_PATH: '/export' }) }] }),
    deployment('half-told', { containers: [{ env: env({ NFS_SERVER: '192.0.2.23' }) }] }),
    deployment('direct', { volumes: [{ emptyDir: {} }, { nfs: { server: '192.0.2.21', path: '/export' } }] }),
    deployment('inline-csi', {
      volumes: [{ csi: { driver: 'nfs.csi.k8s.io', volumeAttributes: { server: 'nas.lan', share: '/inline' } } }],
    }),
  ],
  '/pods': [
    object('Pod', 'alone', { spec: { volumes: [{ nfs: { server: '192.0.2.21', path: '/export' } }] } }),
    {
      ...object('Pod', 'of-a-workload', { spec: { volumes: [{ nfs: { server: 'not.told.twice', path: '/' } }] } }),
      metadata: {
        name: 'of-a-workload',
        ownerReferences: [{ kind: 'ReplicaSet', name: 'r', apiVersion: 'apps/v1', uid: 'u', controller: true }],
      },
    },
  ],
}

test('exports are found wherever one is mounted or handed out, each once with all its users', async (t) => {
  const reader = await readerOver(t, objects)
  const found = await findNfs(reader, await readTemplates(reader))
  t.deepEqual(
    found.map(({ server, export: path, usedBy }) => [server, path, ...usedBy]),
    [
      ['192.0.2.20', '/mnt/appdata', 'PersistentVolume pv-1', 'PersistentVolume pv-2'],
      ['nas.lan', '/media', 'PersistentVolume pv-3'],
      ['truenas.lan', '/mnt/tank/v5', 'PersistentVolume pv-5'],
      ['2001:db8::1', '/volume1', 'StorageClass nfs-csi'],
      ['192.0.2.30', '/volume2', 'StorageClass synology'],
      ['192.0.2.22', '/export', 'Deployment media/provisioner'],
      ['192.0.2.23', null, 'Deployment media/half-told'],
      ['192.0.2.21', '/export', 'Deployment media/direct', 'Pod media/alone'],
      ['nas.lan', '/inline', 'Deployment media/inline-csi'],
    ],
  )
})
