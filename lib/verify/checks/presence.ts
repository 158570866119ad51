import type { Baseline } from '../baseline.ts'
import type { StateCheck } from './state-check.ts'

/** Owners whose pods are counted with them, or end by themselves. */
const countedElsewhere = /^(Deployment|StatefulSet|DaemonSet|ReplicaSet|CronJob|Job|Node|ShadowPod) /

const nothingVanished: StateCheck = {
  name: 'Nothing is missing',
  compares: true,
  run: ({ now, before }) =>
    absentFrom(now, before).map((key) => ({
      subject: key,
      evidence: 'it was there at the time of the backup, and is not now',
      severity: 'error' as const,
      wayOut: 'If nobody deleted it on purpose: task migrate:restore',
      // GitOps may still be about to create it, when the cluster is rebuilt from Git.
      converging: true,
    })),
}

/** Presence: what was there and is not, which no command of the guide tells. */
export const presenceChecks: readonly StateCheck[] = [nothingVanished]

/** What is there now and was not. */
export function appeared(now: Baseline, before: Baseline): string[] {
  // An older version has noted no names: then nothing is known of them, and not that there were none.
  return absentFrom(before, before.names.length === 0 ? { ...now, names: [] } : now)
}

/** What the other state has, and this one has not. */
function absentFrom(state: Baseline, other: Baseline): string[] {
  const present = new Set(keysIn(state))
  return keysIn(other).filter((key) => !present.has(key))
}

function keysIn(state: Baseline): string[] {
  const { nodes, workloads, cronJobs, volumes, claims, flux, applications, externalSecrets, peerings, names } = state
  const lists = [nodes, workloads, cronJobs, volumes, claims, flux, applications, externalSecrets, peerings, names]
  return [
    ...lists.flatMap((list) => list.map(({ key }) => key)),
    ...state.pods.map(({ owner }) => owner).filter((owner) => !countedElsewhere.test(owner)),
    ...state.hosts.map(({ host }) => `Host ${host}`),
  ]
}
