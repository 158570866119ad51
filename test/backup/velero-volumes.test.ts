import anyTest, { type TestFn } from 'ava'
import { findVelero } from '../../lib/backup/velero-installation.ts'
import { coverageOf } from '../../lib/backup/velero-volumes.ts'
import { type BareCluster, startBareCluster } from '../kubernetes/bare-cluster.ts'
import { defineKind, installVelero } from './play-velero.ts'

const test = (anyTest as TestFn<{ cluster: BareCluster }>).serial

test.before(async (t) => {
  t.context.cluster = await startBareCluster()
  const { api } = t.context.cluster
  await installVelero(api)
  for (const name of ['talos00', 'worker1']) await api.create('/api/v1/nodes', { metadata: { name } })
  await api.create('/api/v1/namespaces', {
    metadata: { name: 'left-out', labels: { 'velero.io/exclude-from-backup': 'true' } },
  })
  await pod(t.context.cluster, 'node-agent', { labels: { role: 'node-agent' }, in: 'velero' })
  await claims(t.context.cluster)
})
test.after.always((t) => t.context.cluster?.stop())

interface PodOptions {
  claim?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  node?: string
  phase?: string
  in?: string
}

async function pod({ api }: BareCluster, name: string, options: PodOptions = {}): Promise<void> {
  const { claim, labels = {}, annotations = {}, node = 'talos00', phase = 'Running' } = options
  const path = `/api/v1/namespaces/${options.in ?? 'default'}/pods`
  const volumes = claim ? [{ name: 'data', persistentVolumeClaim: { claimName: claim } }] : []
  await api.create(path, {
    metadata: { name, labels, annotations },
    spec: { nodeName: node, containers: [{ name: 'c', image: 'i' }], volumes },
  })
  await api.mergePatch(`${path}/${name}/status`, { status: { phase } })
}

interface ClaimOptions {
  source?: object
  in?: string
  labels?: Record<string, string>
  mode?: string
}

async function claim({ api }: BareCluster, name: string, options: ClaimOptions): Promise<void> {
  const { source, labels = {}, mode = 'Filesystem' } = options
  const common = { accessModes: ['ReadWriteOnce'], storageClassName: 'some', volumeMode: mode }
  await api.create(`/api/v1/namespaces/${options.in ?? 'default'}/persistentvolumeclaims`, {
    metadata: { name, labels },
    spec: { ...common, resources: { requests: { storage: '1Gi' } }, ...(source ? { volumeName: `pv-${name}` } : {}) },
  })
  if (!source) return
  await api.create('/api/v1/persistentvolumes', {
    metadata: { name: `pv-${name}` },
    spec: { ...common, capacity: { storage: '1Gi' }, ...source },
  })
}

const nfs = { nfs: { server: '192.0.2.20', path: '/mnt' } }
const hostPath = { hostPath: { path: '/var/local-path-provisioner/x' } }
const onNode = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['talos00'] }] }]
const local = { local: { path: '/var/l' }, nodeAffinity: { required: { nodeSelectorTerms: onNode } } }
const csi = (driver: string) => ({ csi: { driver, volumeHandle: 'h' } })
const named = { 'backup.velero.io/backup-volumes': 'other,data' }

async function claims(cluster: BareCluster): Promise<void> {
  const make = async (name: string, options: ClaimOptions, mounted: PodOptions | undefined) => {
    await claim(cluster, name, options)
    const where = options.in === undefined ? {} : { in: options.in }
    if (mounted) await pod(cluster, name, { claim: name, ...where, ...mounted })
  }
  await make('nfs-named', { source: nfs }, { annotations: named })
  await make('nfs-not-named', { source: nfs }, {})
  await make('nfs-refused', { source: nfs }, { annotations: { 'backup.velero.io/backup-volumes-excludes': 'data' } })
  await make('nfs-idle', { source: nfs }, undefined)
  await make('nfs-pending-pod', { source: nfs }, { annotations: named, phase: 'Pending' })
  await make('nfs-no-agent', { source: nfs }, { annotations: named, node: 'worker1' })
  await make('host-path', { source: hostPath }, { annotations: named })
  await make('host-path-idle', { source: hostPath }, undefined)
  await make('local', { source: local }, { annotations: named })
  await make('block', { source: local, mode: 'Block' }, { annotations: named })
  await make('unbound', {}, { annotations: named })
  await make('labelled', { source: nfs, labels: { 'velero.io/exclude-from-backup': 'true' } }, { annotations: named })
  await make('elsewhere', { source: nfs, in: 'left-out' }, { annotations: named })
  await make('csi-idle', { source: csi('driver.longhorn.io') }, undefined)
  await make('csi-strange', { source: csi('strange.example.com') }, {})
  await make('csi-named', { source: csi('driver.longhorn.io') }, { annotations: named })
}

async function verdicts({ api }: BareCluster): Promise<Record<string, string>> {
  const velero = await findVelero(api)
  if (!velero) throw new Error('Velero was not found')
  const all = await coverageOf(api, velero)
  return Object.fromEntries(
    all.map(({ claim, by, reason }) => [claim.replace('default/', ''), by === null ? reason : `${by}: ${reason}`]),
  )
}

async function restart({ api }: BareCluster, ...flags: string[]): Promise<void> {
  const value = ['server', ...flags]
  const path = '/spec/template/spec/containers/0/args'
  await api.jsonPatch('/apis/apps/v1/namespaces/velero/deployments/velero', [{ op: 'replace', path, value }])
}

const leftOut = 'hostPath, which file system backup leaves out'
const optIn = 'data is not in backup.velero.io/backup-volumes of Pod default'

test('opt-in: only what a running pod names, where the agent runs; never hostPath', async (t) => {
  t.deepEqual(await verdicts(t.context.cluster), {
    'nfs-named': 'file system: mounted by default/nfs-named',
    'nfs-not-named': `${optIn}/nfs-not-named`,
    'nfs-refused': `${optIn}/nfs-refused`,
    'nfs-idle': 'no running pod mounts it',
    'nfs-pending-pod': 'no running pod mounts it (Pod default/nfs-pending-pod)',
    'nfs-no-agent': "Velero's node agent does not run on worker1",
    'host-path': leftOut,
    'host-path-idle': leftOut,
    local: 'file system: mounted by default/local',
    block: 'a block device: Velero backs up file systems only',
    unbound: 'it has no volume',
    labelled: 'it is labelled velero.io/exclude-from-backup',
    'left-out/elsewhere': 'its namespace is labelled velero.io/exclude-from-backup',
    'csi-idle':
      'no running pod mounts it; a volume of the CSI driver driver.longhorn.io, and Velero runs without EnableCSI',
    'csi-strange': `${optIn}/csi-strange; a volume of the CSI driver strange.example.com, and Velero runs without EnableCSI`,
    'csi-named': 'file system: mounted by default/csi-named',
  })
})

test('opt-out: all that running pods mount, but for what one refuses', async (t) => {
  await restart(t.context.cluster, '--default-volumes-to-fs-backup')
  const now = await verdicts(t.context.cluster)
  t.is(now['nfs-not-named'], 'file system: mounted by default/nfs-not-named')
  t.is(now['nfs-refused'], 'data is in backup.velero.io/backup-volumes-excludes of Pod default/nfs-refused')
  t.is(now['host-path'], leftOut)
  t.is(now['nfs-idle'], 'no running pod mounts it')
})

test('CSI snapshots take what has a VolumeSnapshotClass, mounted or not; what is chosen for the file system is not snapshotted', async (t) => {
  const { cluster } = t.context
  await restart(cluster, '--features', 'EnableCSI,Other')
  t.regex(
    (await verdicts(cluster))['csi-idle'] ?? '',
    /no VolumeSnapshotClass fits its CSI driver driver\.longhorn\.io/,
  )
  const group = { group: 'snapshot.storage.k8s.io', version: 'v1' }
  await defineKind(cluster.api, {
    ...group,
    kind: 'VolumeSnapshotClass',
    plural: 'volumesnapshotclasses',
    scope: 'Cluster',
  })
  const add = (name: string, labels = {}) =>
    cluster.api.create('/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses', {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotClass',
      metadata: { name, labels },
      driver: 'driver.longhorn.io',
      deletionPolicy: 'Retain',
    })
  await add('first')
  const one = await verdicts(cluster)
  t.is(one['csi-idle'], 'CSI snapshot: VolumeSnapshotClass first')
  t.is(one['csi-named'], 'file system: mounted by default/csi-named')
  t.regex(one['csi-strange'] ?? '', /no VolumeSnapshotClass fits/)
  await add('second')
  t.regex(
    (await verdicts(cluster))['csi-idle'] ?? '',
    /no VolumeSnapshotClass fits/,
    'of two, none is chosen by chance',
  )
  await add('third', { 'velero.io/csi-volumesnapshot-class': 'true' })
  t.is((await verdicts(cluster))['csi-idle'], 'CSI snapshot: VolumeSnapshotClass third')
})
