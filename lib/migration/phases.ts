import type { Settings } from '../settings.ts'

export type Scenario = Settings['scenario']

/** One phase of the evening: a script of the same name, and a task `migrate:NAME`. */
export interface Phase {
  readonly name: string
  readonly summary: string
  /** What it changes; null: nothing, so it takes no lock and needs no run. */
  readonly changes: string | null
  /** Whether the run's journal tells of it, when a run is under way. */
  readonly journaled: boolean
  /** Those whose evening it belongs to; absent: every one's. */
  readonly scenarios?: readonly Scenario[]
  /** A flag with which it watches, at any time, and comes to no result: then the journal does not tell of it. */
  readonly watchesWith?: string
  /** A flag that stands in for the phase before it: what that one left behind is had from elsewhere. */
  readonly standsIn?: string
  /** A second call does it anew; else the journal's word that it is done is enough. */
  readonly repeatable?: true
  /** It makes sense by itself too, whatever the scenario: its place in the order counts only in a run that has begun the evening. */
  readonly alone?: true
  /** The phase that goes on from what this one has recorded: alone or not, the run is not over before that. */
  readonly goesOnWith?: string
  /** The phase that this one takes back, so that it may be done again. It comes after that one, whatever lies between. */
  readonly undoes?: string
  /** It takes the run as it is, completed or not, and begins none: where there is no run there is nothing to do. */
  readonly begins?: false
}

/** In the order of the evening, of all scenarios: `evening` gives that of one. */
export const phases: readonly Phase[] = [
  {
    name: 'plan',
    summary: 'what is there, what will be lost, what will be preserved',
    changes: null,
    journaled: false,
  },
  { name: 'preflight', summary: 'every reason why tonight would fail, all at once', changes: null, journaled: true },
  {
    name: 'backup',
    summary: 'everything that is needed to come back',
    changes: 'the backup folder',
    journaled: true,
    repeatable: true,
  },
  {
    name: 'unpeer',
    summary: 'take the Liqo peering down on both sides',
    changes: 'both clusters of the peering',
    journaled: true,
    scenarios: ['B'],
    alone: true,
    goesOnWith: 'repeer',
    // What was left the first time may be removed the second.
    repeatable: true,
  },
  {
    name: 'drain',
    summary: 'quiet the cluster and empty the node',
    changes: 'the cluster',
    journaled: true,
    scenarios: ['A', 'B'],
  },
  {
    name: 'shutdown',
    summary: 'final snapshot, power off, proof',
    changes: 'the old machine',
    journaled: true,
    scenarios: ['A', 'B'],
  },
  {
    name: 'provision',
    summary: 'the new machine takes over the cluster',
    changes: 'the new machine',
    journaled: true,
    scenarios: ['A', 'B'],
  },
  {
    name: 'rewrite-ip',
    summary: 'the new address instead of the old one, in files',
    changes:
      'the homelab’s repository, talosconfigs, kubeconfigs, the hosts file; with --cluster, objects that are in no Git',
    journaled: true,
    scenarios: ['B'],
    repeatable: true,
    alone: true,
  },
  {
    name: 'resume',
    summary: 'undo the drain, wait for convergence',
    changes: 'the cluster',
    journaled: true,
    scenarios: ['A', 'B'],
    standsIn: 'from-backup',
    undoes: 'drain',
    // What conflicted the first time may be decided meanwhile.
    repeatable: true,
  },
  {
    name: 'repeer',
    summary: 'the mesh, AWS and Liqo at the new address',
    changes: "the mesh's certificate and hosts, both clusters of the Liqo peering; with --aws, security groups",
    journaled: true,
    scenarios: ['B'],
    alone: true,
    repeatable: true,
  },
  {
    name: 'join',
    summary: 'more control planes, one after the other',
    changes: 'the machines that join, etcd, talosconfig and kubeconfig',
    journaled: true,
    scenarios: ['C'],
    repeatable: true,
  },
  {
    name: 'verify',
    summary: 'what is newly broken, against the baseline',
    changes: null,
    journaled: true,
    watchesWith: 'watch',
  },
]

/** Those that have no place in that order. */
const anyTime: readonly Phase[] = [
  {
    name: 'evacuate',
    summary: 'copy the data of local volumes off the machine, or back onto it',
    changes: 'copies of local volumes; with --back, the volumes themselves',
    journaled: true,
    repeatable: true,
  },
  {
    name: 'leave',
    summary: 'take one control plane out, in order, or after it has died',
    changes: 'the machine that leaves, etcd, talosconfig and kubeconfig',
    journaled: true,
    scenarios: ['C'],
    repeatable: true,
  },
  {
    name: 'backup-verify',
    summary: 'read a backup back, open its snapshot, say what a recovery would restore',
    changes: null,
    journaled: false,
  },
  {
    name: 'restore',
    summary: 'selected objects from a backup into a cluster',
    changes: 'the cluster',
    journaled: true,
    repeatable: true,
  },
  {
    name: 'rollback',
    summary: 'back to the old machine, undoing what the journal holds',
    changes: 'everything that was done',
    journaled: true,
    repeatable: true,
    begins: false,
  },
  { name: 'status', summary: 'where the run stands, and what to type next', changes: null, journaled: false },
  { name: 'report', summary: 'the evening as one HTML file', changes: null, journaled: false },
]

export function phaseNamed(name: string): Phase | undefined {
  return [...phases, ...anyTime].find((phase) => phase.name === name)
}

/** What a rollback takes back: all that changes something, its own doings among it, but for the backup. */
export const rolledBack: readonly string[] = [...phases, ...anyTime]
  .filter(({ name, changes }) => name === 'verify' || (changes !== null && name !== 'backup'))
  .map(({ name }) => name)
