import { at, setStatus } from '../preflight/healthy-cluster.ts'
import { unready } from '../preflight/sicknesses/sickness.ts'
import { on } from './judged-cluster.ts'
import { gone, type JudgedHomelab, type Regression, spec, status } from './judged-homelab.ts'

const pending = { phase: 'Pending', conditions: [] }
const workloads = 'Workloads are ready'
const missing = 'Nothing is missing'

/** The status that a controller writes once it has done what is wanted. */
async function seenByController({ api }: JudgedHomelab, path: string, replicas: number): Promise<void> {
  const { generation } = (await api.get(path)).metadata
  await setStatus(api, path, { replicas, readyReplicas: replicas, observedGeneration: generation })
}

/** Ready at this moment, and yet it does not run. */
const startedAgain = () => ({
  containerStatuses: [
    {
      ...{ name: 'c', ready: true, restartCount: 6, image: 'i', imageID: 'i' },
      state: { running: { startedAt: new Date().toISOString() } },
      lastState: { terminated: { exitCode: 1, reason: 'Error', finishedAt: new Date().toISOString() } },
    },
  ],
})

/** Core health: Nodes, workloads, pods. */
export const ofTheCore: readonly Regression[] = [
  {
    what: 'a worker that is not ready',
    breaks: async (home) => {
      const before = (await home.api.get(at.worker)).status as object
      return status(at.worker, { ...before, ...unready('kubelet stopped') })(home)
    },
    found: [['Nodes are ready', 'Node talos01']],
  },
  {
    what: 'a node that was left cordoned',
    breaks: spec(at.control, { unschedulable: true }, { unschedulable: null, taints: null }),
    found: [['Nodes are schedulable', 'Node talos00']],
  },
  {
    what: 'a Deployment without a ready pod',
    breaks: status(on.stuck, { readyReplicas: 0 }),
    found: [[workloads, 'Deployment default/stuck']],
  },
  {
    what: 'a StatefulSet with two of its three',
    breaks: status(on.half, { readyReplicas: 2 }),
    found: [[workloads, 'StatefulSet default/half']],
  },
  {
    what: 'a DaemonSet that is not ready on one Node',
    breaks: status(on.agent, { numberReady: 1 }),
    found: [[workloads, 'DaemonSet default/agent']],
  },
  {
    what: 'a Deployment that its controller has not looked at since it was changed',
    breaks: async (home) => {
      const back = await spec(on.unobserved, { paused: true }, { paused: null })(home)
      return async () => {
        await back()
        await seenByController(home, on.unobserved, 1)
      }
    },
    found: [[workloads, 'Deployment default/unobserved']],
  },
  {
    what: 'a Deployment that was left at zero',
    breaks: async (home) => {
      const back = await spec(on.zero, { replicas: 0 }, { replicas: 1 })(home)
      await seenByController(home, on.zero, 0)
      return async () => {
        await back()
        await seenByController(home, on.zero, 1)
      }
    },
    found: [['Replica counts are as before', 'Deployment default/zero']],
  },
  {
    what: 'a pod of nobody that does not start',
    breaks: status(on.alone, pending),
    found: [['Pods outside of workloads are ready', 'Pod default/alone']],
  },
  {
    what: 'a pod of an operator that does not start',
    breaks: status(on.operated, pending),
    found: [['Pods outside of workloads are ready', 'Cluster default/pg']],
  },
  {
    what: 'a scheduler that does not run',
    breaks: status(on.scheduler, pending),
    found: [
      ['Pods outside of workloads are ready', 'Node kube-system/talos00'],
      ['Every control plane Node runs the control plane', 'kube-scheduler on talos00'],
    ],
  },
  {
    what: 'a pod that is ready, and is started again and again',
    breaks: async (home) => status(on.crashing, startedAgain())(home),
    found: [['Pods are not started again and again', 'Pod default/crashing']],
  },
  {
    what: 'a CronJob that was left suspended',
    breaks: spec(on.nightly, { suspend: true }, { suspend: false }),
    found: [['CronJobs are suspended only where they were', 'CronJob default/nightly']],
  },
  {
    what: 'a Deployment that is gone',
    breaks: gone(on.vanishing),
    found: [[missing, 'Deployment default/vanishing']],
  },
  {
    what: 'a pod of nobody that nobody made anew',
    breaks: gone(on.alone),
    found: [[missing, 'Pod default/alone']],
  },
  { what: 'a Secret that is gone', breaks: gone(on.secret), found: [[missing, 'Secret default/token']] },
  { what: 'a ConfigMap that is gone', breaks: gone(on.config), found: [[missing, 'ConfigMap default/config']] },
]
