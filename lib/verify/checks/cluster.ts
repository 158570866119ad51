import type { Baseline } from '../baseline.ts'
import type { StateCheck } from './state-check.ts'

const nodesAreReady: StateCheck = {
  name: 'Nodes are ready',
  run: ({ now }) =>
    now.nodes
      .filter((node) => !node.ready)
      .map((node) => ({
        subject: node.key,
        evidence: 'its Ready condition is not True',
        severity: node.virtual ? 'warning' : 'error',
        wayOut: `kubectl describe ${node.key.toLowerCase()}`,
        converging: true,
      })),
}

const nodesRunTheSameKubernetes: StateCheck = {
  name: 'Nodes run the Kubernetes that they ran',
  compares: true,
  run: ({ now, before }) => {
    const versions = new Map(before.nodes.map(({ key, kubelet }) => [key, kubelet]))
    return now.nodes
      .filter(({ key, kubelet, virtual }) => !virtual && (versions.get(key) ?? kubelet) !== kubelet)
      .map(({ key, kubelet }) => ({
        subject: key,
        evidence: `its kubelet is ${kubelet}, and was ${versions.get(key)}`,
        severity: 'warning',
        wayOut: 'If nobody upgraded it on purpose: correct the image of machine.kubelet in its config.',
      }))
  },
}

const nodesAreSchedulable: StateCheck = {
  name: 'Nodes are schedulable',
  run: ({ now }) =>
    now.nodes
      .filter((node) => !node.schedulable)
      .map((node) => ({
        subject: node.key,
        evidence: 'it is cordoned',
        severity: 'error',
        wayOut: `task migrate:resume uncordons what drain cordoned; else: kubectl uncordon ${node.key.replace('Node ', '')}`,
      })),
}

const replicasAreAsBefore: StateCheck = {
  name: 'Replica counts are as before',
  compares: true,
  run: ({ now, before }) => {
    const wanted = new Map(before.workloads.map((each) => [each.key, each.wanted]))
    return now.workloads.flatMap((each) => {
      const was = wanted.get(each.key)
      if (was === undefined || was === each.wanted || each.key.startsWith('DaemonSet ')) return []
      const toZero = each.wanted === 0
      return [
        {
          subject: each.key,
          evidence: `${each.wanted} replicas wanted, ${was} before`,
          // An autoscaler moves counts all the time; what was running and is at zero was forgotten.
          severity: toZero ? ('error' as const) : ('warning' as const),
          wayOut: toZero ? 'task migrate:resume' : 'Nothing, if an autoscaler or a person did it.',
        },
      ]
    })
  },
}

const workloadsAreReady: StateCheck = {
  name: 'Workloads are ready',
  run: ({ now }) =>
    now.workloads
      .filter((each) => each.ready < each.wanted || !each.observed)
      .map((each) => ({
        subject: each.key,
        evidence: `${each.ready} of ${each.wanted} ready${whyOf(now, each.key)}`,
        severity: 'error',
        wayOut: `kubectl describe ${each.key.replace(/^(\w+) (.+)\/(.+)$/, '$1 -n $2 $3')}`,
        converging: true,
      })),
}

const podsAreReady: StateCheck = {
  name: 'Pods outside of workloads are ready',
  run: ({ now }) => {
    const workloads = new Set(now.workloads.map((each) => each.key))
    return now.pods
      .filter(
        (group) => !workloads.has(group.owner) && !group.owner.startsWith('CronJob ') && group.ready < group.total,
      )
      .map((group) => ({
        subject: group.owner,
        evidence: `${group.ready} of ${group.total} pods ready: ${group.notReady[0]?.why ?? 'unknown'}`,
        severity: group.owner.startsWith('Job ') ? 'warning' : 'error',
        wayOut: 'kubectl describe pod',
        converging: true,
      }))
  },
}

const podsKeepRunning: StateCheck = {
  name: 'Pods are not started again and again',
  run: ({ now }) =>
    now.pods.flatMap(({ owner, restarting: [first, ...more] }) => {
      if (first === undefined) return []
      const others = more.length === 0 ? '' : `; ${more.length} more of its pods`
      return [
        {
          subject: owner,
          evidence: `${first.pod}: ${first.why}${others}`,
          severity: 'error',
          wayOut: `kubectl logs --previous -n ${first.pod.replace('/', ' ')}`,
          converging: true,
        },
      ]
    }),
}

const jobsHaveNotFailed: StateCheck = {
  name: 'Jobs have not failed',
  run: ({ now }) =>
    now.jobs
      .filter(({ failed }) => failed !== '')
      .map(({ key, failed }) => ({
        subject: key,
        evidence: key.startsWith('CronJob ') ? `its newest Job failed: ${failed}` : failed,
        severity: 'warning',
        wayOut: 'kubectl logs of its pods; a CronJob runs again when it is time, a Job when it is made anew.',
      })),
}

const cronJobsAreAsBefore: StateCheck = {
  name: 'CronJobs are suspended only where they were',
  compares: true,
  run: ({ now, before }) => {
    const suspended = new Map(before.cronJobs.map((each) => [each.key, each.suspended]))
    return now.cronJobs
      .filter((each) => suspended.has(each.key) && suspended.get(each.key) !== each.suspended)
      .map((each) => ({
        subject: each.key,
        evidence: each.suspended ? 'it is suspended, and was not' : 'it is not suspended, and was',
        severity: 'error',
        wayOut: 'task migrate:resume',
      }))
  },
}

function whyOf(now: Baseline, key: string): string {
  const why = now.pods.find((group) => group.owner === key)?.notReady[0]?.why
  return why ? ` (${why})` : ''
}

/**
 * Core health: the guide's `kubectl get nodes` and `kubectl get pods | grep -v Running`, judged by readiness and owner.
 */
export const clusterChecks: readonly StateCheck[] = [
  nodesAreReady,
  nodesAreSchedulable,
  nodesRunTheSameKubernetes,
  replicasAreAsBefore,
  workloadsAreReady,
  podsAreReady,
  podsKeepRunning,
  jobsHaveNotFailed,
  cronJobsAreAsBefore,
]
