import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { Migration } from '../../migration/migration.ts'
import type { KubernetesApi } from '../api.ts'
import { ignoring } from '../api-error.ts'
import { fullName, type Job, type PersistentVolume } from '../kinds.ts'
import { nodeOf } from '../volumes.ts'
import { evacuationLabel } from './job.ts'
import { roundOf } from './ledger.ts'

/** Talos exempts it from PodSecurity, which elsewhere forbids hostPath. */
const namespace = 'kube-system'
const provisionedBy = 'pv.kubernetes.io/provisioned-by'

/**
 * Makes the folders of `local` volumes on a new machine's disk: a pod that mounts one without a folder never starts. (A hostPath volume's
 * folder is made by the kubelet.) Only for volumes that a provisioner made; those of a person may be places for a disk of
 * their own, and are named.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/#local
 */
export async function makeFolders(migration: Migration, api: KubernetesApi): Promise<void> {
  const { nodeName, evacuateImage: image } = migration.settings
  const volumes = await api.list<PersistentVolume>('/api/v1/persistentvolumes')
  const here = volumes.filter((volume) => volume.spec.local && volume.spec.claimRef && nodeOf(volume) === nodeName)
  const isMade = ({ metadata }: PersistentVolume) => metadata.annotations?.[provisionedBy] !== undefined
  for (const volume of here.filter((each) => !isMade(each))) {
    migration.console.warn(`${fullName(volume)} wants ${volume.spec.local?.path} on ${nodeName}: see that it is there.`)
  }
  const paths = here.filter(isMade).flatMap(({ spec }) => spec.local?.path ?? [])
  if (paths.length === 0) return
  const name = `make-volume-folders-${createHash('sha256').update(roundOf(migration)).digest('hex').slice(0, 8)}`
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`
  await migration.change(`Make the folders of ${paths.length} local volumes on ${nodeName}`, {
    apply: async () => {
      await ignoring(409, () => api.create(jobs, folderJob(name, paths, nodeName, image)))
    },
  })
  await migration.wait({
    name: 'the folders of local volumes are there',
    timeoutSeconds: migration.settings.apiTimeout,
    everyMs: 1000,
    hint: `kubectl -n ${namespace} describe job ${name}; it makes ${dirname(paths[0] ?? '')}/…`,
    probe: async () => {
      const job = await api.get<Job>(`${jobs}/${name}`)
      return (job.status?.succeeded ?? 0) > 0
        ? { met: true, value: undefined }
        : { met: false, saw: `Job ${namespace}/${name}: ${JSON.stringify(job.status ?? {})}` }
    },
  })
}

/** The kubelet makes each folder as it mounts it; the container has nothing to do. */
function folderJob(name: string, paths: readonly string[], node: string, image: string): Job {
  const labels = { [evacuationLabel]: 'folders', 'app.kubernetes.io/managed-by': 'talos-migrate' }
  const volumes = paths.map((path, index) => ({
    name: `folder-${index}`,
    hostPath: { path, type: 'DirectoryOrCreate' },
  }))
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels },
    spec: {
      backoffLimit: 2,
      ttlSecondsAfterFinished: 3600,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          nodeSelector: { 'kubernetes.io/hostname': node },
          tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }],
          containers: [
            {
              name: 'folders',
              image,
              command: ['/bin/true'],
              resources: { requests: { cpu: '10m', memory: '16Mi' } },
              volumeMounts: volumes.map((volume, index) => ({ name: volume.name, mountPath: `/mnt/${index}` })),
            },
          ],
          volumes,
        },
      },
    } as Job['spec'],
  }
}
