/** One phase of the evening: a script of the same name, and a task `migrate:NAME`. */
export interface Phase {
  readonly name: string
  readonly summary: string
  /** What it changes; null: nothing, so it takes no lock and needs no run. */
  readonly changes: string | null
  /** The phase that must have been done before in the same run. */
  readonly after?: string
  /** A second call does it anew; else the journal's word that it is done is enough. */
  readonly repeatable?: true
  /** The phase that this one takes back, so that it may be done again. */
  readonly undoes?: string
}

/** In the order of the evening. */
export const phases: readonly Phase[] = [
  { name: 'plan', summary: 'what is there, what will be lost, what will be preserved', changes: null },
  { name: 'preflight', summary: 'every reason why tonight would fail, all at once', changes: null },
  { name: 'backup', summary: 'everything that is needed to come back', changes: 'the backup folder', repeatable: true },
  { name: 'drain', summary: 'quiet the cluster and empty the node', changes: 'the cluster', after: 'backup' },
  { name: 'shutdown', summary: 'final snapshot, power off, proof', changes: 'the old machine', after: 'drain' },
  {
    name: 'provision',
    summary: 'the new machine takes over the cluster',
    changes: 'the new machine',
    after: 'shutdown',
  },
  {
    name: 'resume',
    summary: 'undo the drain, wait for convergence',
    changes: 'the cluster',
    after: 'drain',
    undoes: 'drain',
  },
  { name: 'verify', summary: 'what is newly broken, against the baseline', changes: null },
]

/** The chain of scenario A, after the reads that come before it. */
export const chain: readonly string[] = ['preflight', 'backup', 'drain', 'shutdown', 'provision', 'resume', 'verify']

export function phaseNamed(name: string): Phase | undefined {
  return phases.find((phase) => phase.name === name)
}
