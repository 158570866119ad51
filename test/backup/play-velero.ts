import { setTimeout as delay } from 'node:timers/promises'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes/api.ts'
import { until } from '../kubernetes/bare-cluster.ts'

/** What Velero does with a Backup, one status after the other; the last one stays. */
export type Play = (name: string) => readonly Record<string, unknown>[]

export const backupsPath = '/apis/velero.io/v1/namespaces/velero/backups'

/** Velero's API as its documentation has it, as far as a Backup needs it, and a server Deployment that counts as available. */
export async function installVelero(api: KubernetesApi, args: readonly string[] = ['server']): Promise<void> {
  for (const [kind, plural] of [
    ['Backup', 'backups'],
    ['BackupStorageLocation', 'backupstoragelocations'],
    ['VolumeSnapshotLocation', 'volumesnapshotlocations'],
  ] as const) {
    await defineKind(api, { group: 'velero.io', version: 'v1', kind, plural, scope: 'Namespaced' })
  }
  await api.create('/api/v1/namespaces', { metadata: { name: 'velero' } })
  const labels = { deploy: 'velero' }
  const pod = { containers: [{ name: 'velero', image: 'velero/velero:v1.17.0', command: ['/velero'], args }] }
  const deployments = '/apis/apps/v1/namespaces/velero/deployments'
  await api.create(deployments, {
    metadata: { name: 'velero' },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } },
  })
  await setAvailable(api, 1)
  await setLocation(api, { phase: 'Available' })
}

export async function setAvailable(api: KubernetesApi, replicas: number): Promise<void> {
  const status = { replicas, readyReplicas: replicas, availableReplicas: replicas }
  await api.mergePatch('/apis/apps/v1/namespaces/velero/deployments/velero/status', { status })
}

export async function setLocation(api: KubernetesApi, status: object, spec: object = {}): Promise<void> {
  const path = '/apis/velero.io/v1/namespaces/velero/backupstoragelocations/default'
  const location = {
    apiVersion: 'velero.io/v1',
    kind: 'BackupStorageLocation',
    metadata: { name: 'default', namespace: 'velero' },
    spec: { provider: 'aws', objectStorage: { bucket: 'velero' }, default: true, ...spec },
    status,
  }
  await api.apply(path, location, 'velero')
}

/** @returns what ends the play */
export function playVelero(api: KubernetesApi, play: Play): () => Promise<void> {
  let playing = true
  const at = new Map<string, number>()
  const acts = async () => {
    while (playing) {
      for (const { metadata } of await api.list(backupsPath)) {
        const acts = play(metadata.name)
        const act = at.get(metadata.name) ?? 0
        if (act >= acts.length) continue
        await api.mergePatch(`${backupsPath}/${metadata.name}`, { status: acts[act] })
        at.set(metadata.name, act + 1)
      }
      await delay(50)
    }
  }
  const ended = acts().catch((error: unknown) => {
    if (playing) throw error
  })
  return async () => {
    playing = false
    await ended
  }
}

export async function backupsIn(api: KubernetesApi): Promise<KubernetesObject[]> {
  return api.list(backupsPath)
}

interface Kind {
  group: string
  version: string
  kind: string
  plural: string
  scope: 'Namespaced' | 'Cluster'
}

/** A kind without a schema. Velero's own have no status subresource either. */
export async function defineKind(api: KubernetesApi, { group, version, kind, plural, scope }: Kind): Promise<void> {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  await api.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    // The groups of Kubernetes itself are protected from just anybody's definitions.
    metadata: { name: `${plural}.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' } },
    spec: {
      group,
      scope,
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [{ name: version, served: true, storage: true, schema }],
    },
  })
  await until(`${plural} are served`, async () => {
    await api.list(`/apis/${group}/${version}/${plural}`)
    return true
  })
}
