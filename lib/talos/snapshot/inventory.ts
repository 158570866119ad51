import { BoltFile } from './bolt.ts'
import { keyValue } from './protobuf.ts'

/** What etcd would hold after a recovery. */
export interface SnapshotInventory {
  objects: number
  namespaces: number
  /** by resource as its key in etcd names it, e.g. `pods` or `cert-manager.io/certificates`; the most numerous first */
  resources: { resource: string; count: number }[]
}

const root = '/registry/'
// Deletion markers have one byte more: revision (8), '_', sub-revision (8), 't'.
const revisionLength = 17
/** Built-in kinds whose key names more than their plural. */
const twoParts = new Set(['services'])

/**
 * Counts the objects that are alive in a snapshot, by the keys of etcd (Kubernetes: /registry/[GROUP/]RESOURCE/[NAMESPACE/]NAME).
 * @param path a file that checkSnapshotFile has found whole
 * @throws DamagedBoltFile when it is not an etcd database
 */
export async function takeSnapshotInventory(path: string): Promise<SnapshotInventory> {
  const alive = new Set<string>()
  const file = await BoltFile.open(path)
  try {
    await file.visit('key', (at, value) => {
      const key = keyValue(value).key.toString()
      if (!key.startsWith(root)) return
      if (at.length > revisionLength) alive.delete(key)
      else alive.add(key)
    })
  } finally {
    await file.close()
  }
  return count(alive)
}

function count(keys: Iterable<string>): SnapshotInventory {
  const counts = new Map<string, number>()
  for (const key of keys) {
    const resource = resourceOf(key)
    counts.set(resource, (counts.get(resource) ?? 0) + 1)
  }
  const resources = [...counts].map(([resource, count]) => ({ resource, count })).sort((a, b) => b.count - a.count)
  const objects = resources.reduce((sum, { count }) => sum + count, 0)
  return { objects, namespaces: counts.get('namespaces') ?? 0, resources }
}

function resourceOf(key: string): string {
  const [first = '', second = ''] = key.slice(root.length).split('/')
  // Custom resources and the newer built-in ones stand under their group, whose name has a dot.
  if (first.includes('.') || twoParts.has(first)) return `${first}/${second}`
  return first
}
