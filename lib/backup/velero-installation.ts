import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { collectionPath, type ServedResource, servedResources } from '../kubernetes/served.ts'

/** Velero as it is installed in this cluster, with the defaults that it goes by. */
export interface Velero {
  readonly namespace: string
  readonly server: string
  readonly serverIsUp: boolean
  /** where its Backups are served */
  readonly backups: ServedResource
  /** the location that a Backup without one goes to; null: there is none */
  readonly location: { name: string; available: boolean; readOnly: boolean; message: string } | null
  /** every volume of a running pod is taken, unless its pod says no; else only those that a pod names */
  readonly allVolumesByDefault: boolean
  /** EnableCSI is among its features */
  readonly csi: boolean
  /** how many VolumeSnapshotLocations there are, for snapshots by plugins of storage vendors */
  readonly snapshotLocations: number
  /** nodes on which its node agent runs: only there can it read the file systems of volumes */
  readonly agentNodes: ReadonlySet<string>
}

interface Deployment extends KubernetesObject {
  spec: { template: { spec: { containers: { image?: string; command?: string[]; args?: string[] }[] } } }
  status?: { availableReplicas?: number }
}

interface Location extends KubernetesObject {
  spec: { default?: boolean; accessMode?: string }
  status?: { phase?: string; message?: string }
}

/**
 * Looks for Velero's API, its server and its default location.
 * Source: https://velero.io/docs/main/customize-installation/ , https://velero.io/docs/main/api-types/backupstoragelocation/
 * @returns null where its API is not served, or nobody is there who would act on it
 */
export async function findVelero(api: KubernetesApi): Promise<Velero | null> {
  const served = await servedResources(api, 'velero.io', [
    'backups',
    'backupstoragelocations',
    'volumesnapshotlocations',
  ])
  const kind = (resource: string) => served.find((each) => each.resource === resource)
  const backups = kind('backups')
  const server = backups ? (await api.list<Deployment>('/apis/apps/v1/deployments')).find(isServer) : undefined
  if (!backups || !server) return null
  const namespace = server.metadata.namespace ?? ''
  const list = async <T>(resource: string) => {
    const there = kind(resource)
    return there ? api.list<T>(collectionPath(there, namespace)) : []
  }
  const flags = flagsOf(server)
  return {
    namespace,
    server: server.metadata.name,
    serverIsUp: (server.status?.availableReplicas ?? 0) > 0,
    backups,
    location: defaultLocation(await list<Location>('backupstoragelocations'), flags),
    allVolumesByDefault: isOn(flags, 'default-volumes-to-fs-backup') || isOn(flags, 'default-volumes-to-restic'),
    csi: (flags.get('features') ?? '').split(',').includes('EnableCSI'),
    snapshotLocations: (await list('volumesnapshotlocations')).length,
    agentNodes: await agentNodes(api, namespace),
  }
}

function isServer({ spec }: Deployment): boolean {
  return spec.template.spec.containers.some(({ image = '', command = [], args = [] }) => {
    const words = [...command, ...args]
    return words.includes('server') && (/\bvelero\b/.test(image) || words.some((word) => /(^|\/)velero$/.test(word)))
  })
}

/** Its flags, as --NAME=VALUE, --NAME VALUE or --NAME. */
function flagsOf({ spec }: Deployment): Map<string, string> {
  const words = spec.template.spec.containers.flatMap(({ command = [], args = [] }) => [...command, ...args])
  return new Map(
    words.flatMap((word, index): [string, string][] => {
      const parts = /^--([^=]+)(?:=(.*))?$/.exec(word)
      if (!parts) return []
      const next = words[index + 1]
      return [[parts[1] ?? '', parts[2] ?? (next === undefined || next.startsWith('-') ? 'true' : next)]]
    }),
  )
}

const isOn = (flags: Map<string, string>, name: string) => flags.get(name) === 'true'

/** As the server chooses: the one marked as default, else the one of its flag. */
function defaultLocation(locations: readonly Location[], flags: Map<string, string>): Velero['location'] {
  const named = flags.get('default-backup-storage-location') ?? 'default'
  const location =
    locations.find(({ spec }) => spec.default) ?? locations.find(({ metadata }) => metadata.name === named)
  if (!location) return null
  const { phase = 'not validated yet', message = '' } = location.status ?? {}
  return {
    name: location.metadata.name,
    available: phase === 'Available',
    readOnly: location.spec.accessMode === 'ReadOnly',
    message: message || phase,
  }
}

async function agentNodes(api: KubernetesApi, namespace: string): Promise<Set<string>> {
  const pods = await api.list<KubernetesObject & { spec: { nodeName?: string }; status?: { phase?: string } }>(
    `/api/v1/namespaces/${namespace}/pods`,
    { labelSelector: 'role=node-agent' },
  )
  return new Set(pods.flatMap(({ spec, status }) => (status?.phase === 'Running' ? (spec.nodeName ?? []) : [])))
}
