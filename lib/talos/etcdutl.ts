import * as z from 'zod'
import { messageOf, OperatorError } from '../migration/errors.ts'
import { findOnPath, isExecutable, runToItsEnd } from '../migration/executables.ts'
import type { Settings } from '../settings.ts'

/** What etcd's own tool says of a snapshot file. */
export interface SnapshotStatus {
  /** of the key space, 8 hex digits */
  hash: string
  revision: number
  /** entries of all buckets, bytes of the file */
  keys: number
  bytes: number
}

/** etcd's offline tool: the second witness beside our own reader of snapshots. */
export interface Etcdutl {
  readonly version: string
  /**
   * Opens a snapshot: its integrity hash, its tree, its revision.
   * @throws OperatorError when it does not open
   */
  status(snapshot: string): Promise<SnapshotStatus>
}

const statusAnswer = z.object({ hash: z.number(), revision: z.number(), totalKey: z.number(), totalSize: z.number() })
const deadlineSeconds = 300

/**
 * Finds etcdutl (settings.etcdutl, else PATH). It is not needed for a migration, so that its absence is no error.
 * Source: https://etcd.io/docs/v3.6/op-guide/recovery/ (`etcdutl snapshot status --write-out=json`)
 * @throws OperatorError when ETCDUTL names something that does not work
 */
export async function findEtcdutl(
  settings: Pick<Settings, 'etcdutl'>,
  environment: Record<string, string | undefined> = process.env,
): Promise<Etcdutl | undefined> {
  const binary = settings.etcdutl ?? (await findOnPath('etcdutl', environment.PATH ?? ''))
  if (binary === undefined) return undefined
  if (!(await isExecutable(binary))) throw unusable(binary, 'there is no executable file')
  const { stdout, exitCode } = await runToItsEnd(binary, ['version'], deadlineSeconds)
  const version = /etcdutl version: (\S+)/.exec(stdout)?.[1]
  if (exitCode !== 0 || version === undefined) throw unusable(binary, 'it does not say its version')
  return { version, status: (snapshot) => status(binary, snapshot) }
}

async function status(binary: string, snapshot: string): Promise<SnapshotStatus> {
  const { stdout, stderr, exitCode } = await runToItsEnd(
    binary,
    ['snapshot', 'status', snapshot, '--write-out', 'json'],
    deadlineSeconds,
  )
  try {
    if (exitCode !== 0) throw new Error(stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`)
    const { hash, revision, totalKey, totalSize } = statusAnswer.parse(JSON.parse(stdout))
    return { hash: hash.toString(16).padStart(8, '0'), revision, keys: totalKey, bytes: totalSize }
  } catch (error) {
    throw new OperatorError(`etcdutl does not open the snapshot: ${messageOf(error)}.`, {
      means: 'etcd could not be recovered from it.',
      next: 'Take another backup (task migrate:backup); if ETCDUTL is older than etcd 3.6, use one of the cluster’s version.',
      cause: error,
    })
  }
}

function unusable(binary: string, why: string): OperatorError {
  return new OperatorError(`${binary} (ETCDUTL) cannot be used: ${why}.`, {
    next: 'Set ETCDUTL to an etcdutl of etcd 3.6, or to nothing: it is a second witness, and not needed.',
    exitCode: 2,
  })
}
