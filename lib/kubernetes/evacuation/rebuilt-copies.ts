import type { Migration } from '../../migration/migration.ts'
import type { KubernetesApi, KubernetesObject } from '../api.ts'
import { ignoring } from '../api-error.ts'
import { fullName, type Node, type PersistentVolume, type PersistentVolumeClaim } from '../kinds.ts'
import { isNodeReady, listNodes } from '../nodes.ts'
import { nodeOf } from '../volumes.ts'
import { copyAnnotations, evacuationLabel } from './job.ts'
import { type CopyVolume, type Evacuated, rememberedVolume } from './ledger.ts'

/** What the journal keeps of a copy's volume, by which it is found again where etcd is a new one. */
export async function copyVolumeOf(
  api: KubernetesApi,
  { namespace, copy }: Pick<Evacuated, 'namespace' | 'copy'>,
): Promise<CopyVolume | null> {
  const claim = await api.get<PersistentVolumeClaim>(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${copy}`)
  const volume = await api.getOrNull<PersistentVolume>(`/api/v1/persistentvolumes/${claim.spec.volumeName}`)
  return volume && rememberedVolume.parse({ name: volume.metadata.name, spec: volume.spec })
}

/**
 * In a cluster that was rebuilt from Git: makes the volumes and claims of copies anew, over the files that are where they were.
 * @returns those that can be brought back now; of the others it is said why not
 */
export async function findCopiesAgain(
  migration: Migration,
  api: KubernetesApi,
  away: readonly Evacuated[],
): Promise<Evacuated[]> {
  const [claims, nodes, drivers] = await Promise.all([
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
    listNodes(api),
    registeredDrivers(api, migration.settings.nodeName),
  ])
  const there = new Set(claims.map(fullName))
  const found: Evacuated[] = []
  for (const one of away) {
    const why = whyNot(one, { there, nodes, drivers })
    if (why === null) {
      await findAgain(migration, api, one)
      found.push(one)
    } else {
      migration.console.warn(`${one.namespace}/${one.claim} is not brought back: ${why}. ${whereItIs(one)}`)
    }
  }
  return found
}

/** Where the operator finds what was copied. */
export function whereItIs({ copy, storageClass, copyVolume }: Evacuated): string {
  const { nfs, hostPath, local } = (copyVolume?.spec ?? {}) as PersistentVolume['spec']
  const place = nfs ? `${nfs.server}:${nfs.path}` : (hostPath?.path ?? local?.path ?? `of ${storageClass}`)
  return `Its data lies in the copy ${copy} (${place}), folder data.`
}

function whyNot(
  { namespace, claim, copyVolume }: Evacuated,
  cluster: { there: ReadonlySet<string>; nodes: readonly Node[]; drivers: ReadonlySet<string> },
): string | null {
  if (!cluster.there.has(`${namespace}/${claim}`)) return 'its claim was not restored'
  if (copyVolume === null) return 'the journal does not know the volume of its copy'
  const { name } = copyVolume
  const volume: PersistentVolume = { metadata: { name }, spec: copyVolume.spec as PersistentVolume['spec'] }
  const driver = volume.spec.csi?.driver
  if (driver !== undefined && !cluster.drivers.has(driver)) {
    return `its copy is mounted by ${driver}, which Git brings later; when it runs and the workload is scaled down: task migrate:evacuate -- --back`
  }
  const holder = nodeOf(volume)
  const node = cluster.nodes.find(({ metadata }) => metadata.name === holder)
  return holder === null || (node && isNodeReady(node))
    ? null
    : `its copy lies on ${holder}, which is not Ready here yet`
}

/** The CSI drivers that the node can mount with. Source: https://kubernetes-csi.github.io/docs/csi-node-object.html */
async function registeredDrivers(api: KubernetesApi, nodeName: string): Promise<Set<string>> {
  const node = await api.getOrNull(`/apis/storage.k8s.io/v1/csinodes/${nodeName}`)
  const { drivers } = (node?.spec ?? {}) as { drivers?: { name: string }[] | null }
  return new Set((drivers ?? []).map(({ name }) => name))
}

async function findAgain(migration: Migration, api: KubernetesApi, one: Evacuated): Promise<void> {
  const { namespace, copy, copyVolume } = one
  if (copyVolume === null) return
  const claims = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`
  if (await api.getOrNull(`${claims}/${copy}`)) return
  await migration.change(`Make the claim of the copy ${namespace}/${copy} anew, over ${copyVolume.name}`, {
    // Nothing undoes it: the files are where they were, and a copy is removed on request only.
    apply: async () => {
      await ignoring(409, () => api.create('/api/v1/persistentvolumes', volumeOf(one, copyVolume)))
      await ignoring(409, () => api.create(claims, claimOf(one, copyVolume)))
    },
  })
}

function volumeOf({ namespace, copy }: Evacuated, { name, spec }: CopyVolume): KubernetesObject {
  const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: copy }
  return { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec: { ...spec, claimRef } }
}

function claimOf({ namespace, claim, copy, storageClass }: Evacuated, { name, spec }: CopyVolume): KubernetesObject {
  const { accessModes, capacity, volumeMode } = spec as PersistentVolume['spec']
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: copy,
      namespace,
      labels: { [evacuationLabel]: 'copy', 'app.kubernetes.io/managed-by': 'talos-migrate' },
      annotations: { [copyAnnotations.of]: `${namespace}/${claim}` },
    },
    spec: {
      accessModes,
      storageClassName: storageClass,
      volumeMode,
      volumeName: name,
      resources: { requests: { storage: capacity?.storage } },
    },
  }
}
