import { randomBytes } from 'node:crypto'
import type { Settings } from '../../settings.ts'
import type { KubernetesApi } from '../api.ts'
import { ignoring } from '../api-error.ts'
import type { Job, Pod } from '../kinds.ts'
import { daemonName, evacuationJob, evacuationLabel, secretMount, secretVolume, type VolumePair } from './job.ts'
import { type Direction, daemonScript, daemonUser, mounts } from './script.ts'

/** A volume whose copy lies on another node, and the way that it is copied. */
interface Served {
  readonly pair: VolumePair
  readonly direction: Direction
}

/**
 * Starts the rsync daemon beside a volume whose copy lies on another node, for no pod can mount both: a Job, with a password of its own
 * that goes when the Job does. The copying Job is told its address.
 */
export async function startDaemon(
  api: KubernetesApi,
  served: Served,
  options: { image: Settings['evacuateImage']; round: string },
): Promise<void> {
  const { namespace } = served.pair
  const name = daemonName(served.pair, served.direction)
  await ignoring(409, () => api.create(`/apis/batch/v1/namespaces/${namespace}/jobs`, daemonJob(served, options)))
  const { uid } = (await api.get(daemonPath(served))).metadata
  const password = randomBytes(24).toString('base64url')
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, blockOwnerDeletion: true }
  const secret = {
    metadata: { name, labels: { [evacuationLabel]: served.direction }, ownerReferences: [owner] },
    stringData: { daemon: `${daemonUser}:${password}\n`, password },
  }
  await ignoring(409, () => api.create(`/api/v1/namespaces/${namespace}/secrets`, secret))
}

/** Where the API serves the daemon's Job. */
export function daemonPath({ pair, direction }: Served): string {
  return `/apis/batch/v1/namespaces/${pair.namespace}/jobs/${daemonName(pair, direction)}`
}

/** The address of a daemon's pod; undefined while it does not run. */
export function addressOf(pods: readonly Pod[]): string | undefined {
  return pods.find(({ status }) => status.phase === 'Running')?.status.podIP
}

function daemonJob({ pair, direction }: Served, options: { image: string; round: string }): Job {
  const job = evacuationJob(pair, direction, options.round, {
    name: daemonName(pair, direction),
    affinity: pair.affinity,
    volumes: [{ name: 'local', persistentVolumeClaim: { claimName: pair.claim } }, secretVolume(pair, direction)],
    container: {
      name: 'rsyncd',
      image: options.image,
      command: ['/bin/sh', '-c', daemonScript(direction)],
      env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
      volumeMounts: [
        { name: 'local', mountPath: mounts.local, ...(direction === 'out' ? { readOnly: true } : {}) },
        secretMount,
      ],
    },
  })
  // Whatever becomes of this program, the volume is not served for ever.
  return { ...job, spec: { ...job.spec, activeDeadlineSeconds: 86_400 } as Job['spec'] }
}
