import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { KubernetesApi } from '../../../lib/kubernetes/api.ts'
import { type CopyingPods, startCopyingPods } from '../../../lib/rehearsal/copying-pods.ts'
import { temporaryFolder } from '../../temporary-folder.ts'
import { type BareCluster, startBareCluster, until } from '../bare-cluster.ts'

export interface LocalVolume {
  /** `namespace/name` */
  claim: string
  size?: string
  node?: string
  storageClass?: string
  mode?: 'Filesystem' | 'Block'
  /** a `local` volume instead of a hostPath one */
  local?: boolean
}

/** A bare cluster with one node and local volumes, pods that really copy, and folders that stand for disk and file server. */
export interface SmallHomelab {
  cluster: BareCluster
  api: KubernetesApi
  disk: string
  nas: string
  pods: CopyingPods
  /** The folder of a claim's volume on the disk that the node has now. */
  folder(claim: string): string
  /** The disk of another node. */
  diskOf(node: string): string
  /** Another, empty disk in the node. */
  replaceDisk(): void
  stop(): Promise<void>
}

/**
 * @param environment of the pods' processes, e.g. a PATH with another rsync
 * @param workers names of more nodes
 */
export async function smallHomelab(
  volumes: readonly LocalVolume[],
  environment: Record<string, string> = {},
  workers: readonly string[] = [],
): Promise<SmallHomelab> {
  // Nodes stay as they are told: no kubelet renews their leases.
  const cluster = await startBareCluster({ pods: 'scheduled', controllers: '*,-node-lifecycle-controller' })
  await prepareNode(cluster.api)
  for (const worker of workers) await addNode(cluster.api, worker)
  await makeVolumes(cluster.api, volumes)
  const folder = temporaryFolder('evacuation')
  const nas = join(folder, 'nas')
  const disks = [join(folder, 'disk-0')]
  const disk = () => disks.at(-1) ?? ''
  mkdirSync(disk())
  mkdirSync(nas)
  const diskOf = (node: string) => (node === 'talos00' ? disk() : join(folder, node))
  for (const worker of workers) mkdirSync(diskOf(worker))
  const pods = startCopyingPods(cluster.kubeconfig, { localPathRoot: diskOf, nas, environment })
  const homelab: SmallHomelab = {
    cluster,
    api: cluster.api,
    nas,
    pods,
    diskOf,
    get disk() {
      return disk()
    },
    folder: (claim) => join(disk(), folderName(claim)),
    replaceDisk: () => {
      disks.push(join(folder, `disk-${disks.length}`))
      mkdirSync(disk())
    },
    stop: async () => {
      await pods.stop()
      await cluster.stop()
    },
  }
  for (const { claim } of volumes) mkdirSync(homelab.folder(claim))
  return homelab
}

/** A Node that no kubelet looks after, and the homelab's two kinds of classes. */
export async function prepareNode(api: KubernetesApi): Promise<void> {
  // Cordoned, as it is by the time at which volumes are copied.
  await addNode(api, 'talos00', { unschedulable: true })
  for (const [name, provisioner] of [
    ['local-path', 'rancher.io/local-path'],
    ['fatboy-nfs-appdata', 'cluster.local/fatboy-nfs-appdata'],
    ['synology-nfs', 'cluster.local/synology-nfs'],
    ['longhorn', 'driver.longhorn.io'],
  ]) {
    const volumeBindingMode = name === 'local-path' ? 'WaitForFirstConsumer' : 'Immediate'
    await api.create('/apis/storage.k8s.io/v1/storageclasses', { metadata: { name }, provisioner, volumeBindingMode })
  }
}

/** @param ready what its kubelet would say */
export async function addNode(api: KubernetesApi, name: string, spec = {}, ready = 'True'): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name }
  await api.create('/api/v1/nodes', { metadata: { name, labels }, spec })
  await api.mergePatch(`/api/v1/nodes/${name}/status`, {
    status: {
      capacity: { cpu: '4', memory: '8Gi', pods: '110' },
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      conditions: [{ type: 'Ready', status: ready, lastHeartbeatTime: new Date().toISOString() }],
    },
  })
}

/** Claims with volumes as the local-path provisioner makes them; bound where the controllers run. */
export async function makeVolumes(api: KubernetesApi, volumes: readonly LocalVolume[]): Promise<void> {
  const namespaces = new Set(volumes.map(({ claim }) => claim.split('/')[0] ?? ''))
  for (const name of namespaces) {
    if (name !== 'default') await api.create('/api/v1/namespaces', { metadata: { name } })
  }
  for (const volume of volumes) await makeVolume(api, volume)
}

async function makeVolume(api: KubernetesApi, volume: LocalVolume): Promise<void> {
  const { claim, size = '1Gi', node = 'talos00', storageClass = 'local-path', mode = 'Filesystem' } = volume
  const [namespace = '', name = ''] = claim.split('/')
  const common = { accessModes: ['ReadWriteOnce'], storageClassName: storageClass, volumeMode: mode }
  const volumeName = `pv-${namespace}-${name}`
  const { metadata } = await api.create(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name },
    spec: { ...common, resources: { requests: { storage: size } }, volumeName },
  })
  const path = `/var/local-path-provisioner/${folderName(claim)}`
  const terms = [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] }]
  const isLocalDisk = storageClass === 'local-path'
  await api.create('/api/v1/persistentvolumes', {
    metadata: {
      name: volumeName,
      annotations: { 'pv.kubernetes.io/provisioned-by': 'rancher.io/local-path' },
    },
    spec: {
      ...common,
      capacity: { storage: size },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid: metadata.uid },
      ...(isLocalDisk
        ? {
            ...(volume.local ? { local: { path } } : { hostPath: { path, type: 'DirectoryOrCreate' } }),
            nodeAffinity: { required: { nodeSelectorTerms: terms } },
          }
        : { csi: { driver: 'driver.longhorn.io', volumeHandle: volumeName } }),
    },
  })
}

/** Waits until the controllers have bound every claim. */
export async function claimsAreBound(api: KubernetesApi): Promise<void> {
  await until('the claims are bound', async () => {
    const claims = await api.list('/api/v1/persistentvolumeclaims')
    return claims.every(({ status }) => (status as { phase?: string } | undefined)?.phase === 'Bound')
  })
}

function folderName(claim: string): string {
  const [namespace, name] = claim.split('/')
  return `pv-${namespace}-${name}_${namespace}_${name}`
}
