import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { Settings } from '../../settings.ts'
import type { Job, NodeSelector, PersistentVolumeClaim, Pod } from '../kinds.ts'
import { type Direction, exitCodes, lookScript, mounts, scriptOf } from './script.ts'

/** On everything that an evacuation makes: Jobs and their pods say which way, claims of copies say `copy`. */
export const evacuationLabel = 'talos-migrate/evacuation'
/** On a Job: which run, and which of its quiet times, it copies for. */
export const roundAnnotation = 'talos-migrate/round'
/** On a copy's claim: the claim that it is a copy of, and what was copied and brought back. */
export const copyAnnotations = {
  of: 'talos-migrate/copy-of',
  evacuated: 'talos-migrate/evacuated',
  broughtBack: 'talos-migrate/brought-back',
} as const

/** One volume on a node's disk and the claim of its copy, in the same namespace, for a pod mounts claims of its own only. */
export interface VolumePair {
  readonly namespace: string
  readonly claim: string
  readonly volume: string
  readonly size: string
  readonly node: string
  readonly affinity: NodeSelector
  readonly copy: string
  /** The class of the copy. */
  readonly storageClass: string
  /** The other node that the copy lies on; null where the pod that mounts the volume can mount its copy too. */
  readonly copyNode: CopyNode | null
}

/** A node whose own disk holds copies. */
export interface CopyNode {
  readonly name: string
  readonly affinity: NodeSelector
}

const { noRoom, notCopied, different, occupied, damaged } = exitCodes
const hopeless = [noRoom, different, occupied, damaged]

const lastWords = z.object({ files: z.number(), kib: z.number(), digest: z.string().regex(/^[0-9a-f]{64}$/) })

/** What was copied, as the Job found it: files, KiB on disk, SHA-256 of the list of all files' SHA-256. */
export type Copied = z.output<typeof lastWords>

/** The name of what belongs to a claim: readable, unique, and no longer than a label may be. */
export function nameFor(prefix: string, claim: string): string {
  const name = `${prefix}-${claim}`
  if (name.length <= 63) return name
  return `${name.slice(0, 54).replace(/[^a-z0-9]+$/, '')}-${createHash('sha256').update(claim).digest('hex').slice(0, 8)}`
}

/** Where the API serves the Job of one volume and direction. */
export function jobPath(pair: VolumePair, direction: Direction): string {
  return `/apis/batch/v1/namespaces/${pair.namespace}/jobs/${jobName(pair, direction)}`
}

/** The claim that the copy lies in: as large as the volume, of the class EVACUATE_TO. */
export function copyClaim(pair: VolumePair): PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: pair.copy,
      namespace: pair.namespace,
      labels: { [evacuationLabel]: 'copy', 'app.kubernetes.io/managed-by': 'talos-migrate' },
      annotations: { [copyAnnotations.of]: `${pair.namespace}/${pair.claim}` },
    },
    spec: {
      accessModes: [pair.copyNode ? 'ReadWriteOnce' : 'ReadWriteMany'],
      storageClassName: pair.storageClass,
      resources: { requests: { storage: pair.size } },
    } as PersistentVolumeClaim['spec'],
  }
}

/** What a copying Job is told. */
export interface CopyOptions {
  readonly image: Settings['evacuateImage']
  readonly round: string
  /** What the copy must have, on the way back. */
  readonly digest?: string
  /** The address of the daemon beside the volume, where the copy lies on another node. */
  readonly peer?: string
}

/**
 * The Job that copies one volume. Its pod goes where the volume is, cordoned or not, or where the copy is, if that is another node.
 * Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/
 */
export function copyJob(pair: VolumePair, direction: Direction, options: CopyOptions): Job {
  const { image, round, digest, peer } = options
  const isFar = peer !== undefined
  const copy = { name: 'copy', persistentVolumeClaim: { claimName: pair.copy } }
  const local = { name: 'local', persistentVolumeClaim: { claimName: pair.claim } }
  const isRead = direction === 'out' ? { readOnly: true } : {}
  const env = {
    ...(digest === undefined ? {} : { DIGEST: digest }),
    ...(isFar ? { PEER: peer } : {}),
    ...(direction === 'out' ? { RESERVE: String(isFar ? reservedOnNode : 0) } : {}),
  }
  return evacuationJob(pair, direction, round, {
    name: jobName(pair, direction),
    // What a second attempt cannot mend is not tried again.
    podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: hopeless } }] },
    affinity: pair.copyNode?.affinity ?? pair.affinity,
    volumes: isFar ? [copy, secretVolume(pair, direction)] : [local, copy],
    container: {
      name: 'rsync',
      image,
      command: ['/bin/sh', '-c', scriptOf(direction, isFar)],
      env: Object.entries(env).map(([name, value]) => ({ name, value })),
      volumeMounts: [
        isFar ? secretMount : { name: 'local', mountPath: mounts.local, ...isRead },
        { name: 'copy', mountPath: mounts.copy },
      ],
    },
  })
}

/** The claim whose volume is read. */
type Claim = Pick<VolumePair, 'namespace' | 'claim'>

/** The Job that only reads a volume, and ends with what copiedBy tells. @param affinity of its pod: where the volume is */
export function lookJob(
  claim: Claim,
  affinity: NodeSelector,
  { image, round }: Pick<CopyOptions, 'image' | 'round'>,
): Job {
  return evacuationJob(claim, 'look', round, {
    name: nameFor('evacuate-look', claim.claim),
    // Files that go while they are read are an answer, too.
    podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [notCopied] } }] },
    affinity,
    volumes: [{ name: 'local', persistentVolumeClaim: { claimName: claim.claim, readOnly: true } }],
    container: {
      name: 'sums',
      image,
      command: ['/bin/sh', '-c', lookScript],
      env: [],
      volumeMounts: [{ name: 'local', mountPath: mounts.local, readOnly: true }],
    },
  })
}

/** Where the API serves that Job. */
export function lookPath({ namespace, claim }: Claim): string {
  return `/apis/batch/v1/namespaces/${namespace}/jobs/${nameFor('evacuate-look', claim)}`
}

/** The address of the daemon that a copying Job was told. */
export function peerOf(job: Job): string | undefined {
  return job.spec.template.spec.containers?.[0]?.env?.find(({ name }) => name === 'PEER')?.value
}

/** Percent of a node's disk that copies leave free: below 10 % (15 % for images) its kubelet begins to evict pods. */
const reservedOnNode = 15

/** The parts in which the Jobs of an evacuation differ. */
interface JobParts {
  readonly name: string
  readonly podFailurePolicy?: object
  readonly affinity: NodeSelector
  readonly volumes: object[]
  readonly container: { name: string; image: string; command: string[]; env: object[]; volumeMounts: object[] }
}

/** Its pod is root within what PodSecurity's baseline, Talos' default, allows: owners could not be kept otherwise. */
export function evacuationJob(pair: Claim, direction: Direction | 'look', round: string, parts: JobParts): Job {
  const { name, affinity, volumes, container, ...rest } = parts
  const labels = { [evacuationLabel]: direction, 'app.kubernetes.io/managed-by': 'talos-migrate' }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace: pair.namespace,
      labels,
      annotations: { [copyAnnotations.of]: `${pair.namespace}/${pair.claim}`, [roundAnnotation]: round },
    },
    spec: {
      backoffLimit: 2,
      ...rest,
      // A day: long enough to look at its log in the morning.
      ttlSecondsAfterFinished: 86_400,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 5,
          affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: affinity } },
          tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }],
          securityContext: { runAsUser: 0, runAsGroup: 0, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [{ ...common, ...container }],
          volumes,
        },
      },
    } as Job['spec'],
  }
}

/** Of every container. */
const common = {
  resources: { requests: { cpu: '100m', memory: '64Mi' } },
  securityContext: { allowPrivilegeEscalation: false },
  terminationMessagePath: mounts.result,
  terminationMessagePolicy: 'FallbackToLogsOnError',
}

/** The name of the daemon's Job beside a volume, and of the Secret with its password. */
export function daemonName(pair: VolumePair, direction: Direction): string {
  return nameFor(`serve-${direction}`, pair.claim)
}

/** The kubelet keeps it in memory. */
export function secretVolume(pair: VolumePair, direction: Direction): object {
  return { name: 'secret', secret: { secretName: daemonName(pair, direction), defaultMode: 0o400 } }
}

export const secretMount = { name: 'secret', mountPath: mounts.secret, readOnly: true }

/** What a pod's container said last. @throws ZodError when that is not what a good end says */
export function copiedBy(pod: Pod): Copied {
  return lastWords.parse(JSON.parse(lastWordsOf(pod)))
}

/** What was noted on a copy's claim when it was compared; null if it never was. */
export function copiedInto(copy: PersistentVolumeClaim): Copied | null {
  const noted = copy.metadata.annotations?.[copyAnnotations.evacuated]
  return noted === undefined ? null : lastWords.parse(JSON.parse(noted))
}

/** The last words of a pod's container; '' while it runs, or when it was killed. */
export function lastWordsOf(pod: Pod): string {
  return pod.status.containerStatuses?.[0]?.state?.terminated?.message?.trim() ?? ''
}

function jobName(pair: VolumePair, direction: Direction): string {
  return nameFor(`evacuate-${direction}`, pair.claim)
}
