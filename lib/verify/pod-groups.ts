import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { controllerOf, fullName, type Job, type Pod } from '../kubernetes/kinds.ts'
import {
  type Controllers,
  controllersOf,
  describeOwner,
  isFinished,
  isReady,
  ownerOf,
  whyNotReady,
} from '../kubernetes/pods.ts'
import type { Baseline } from './baseline.ts'

type PodGroup = Baseline['pods'][number]

/** A container that has restarted so often, and the last time so shortly ago, does not run: it is started again and again. */
const manyRestarts = 3
const shortlyMs = 5 * 60_000

/** Every pod that has not finished, by its owner: pods come and go. Of a thousand pods only a few words are kept, page by page. */
export async function readPodGroups(api: KubernetesApi, now: Date): Promise<PodGroup[]> {
  const controllers = new Map([
    ...(await controllersIn(api, '/apis/apps/v1/replicasets')),
    ...(await controllersIn(api, '/apis/batch/v1/jobs')),
  ])
  const groups = new Map<string, PodGroup>()
  for await (const page of api.pages<Pod>('/api/v1/pods')) {
    for (const pod of page.filter((each) => !isFinished(each))) {
      const owner = describeOwner(ownerOf(pod, controllers), pod)
      const group = groups.get(owner) ?? { owner, total: 0, ready: 0, restarts: 0, restarting: [], notReady: [] }
      groups.set(owner, withPod(group, pod, now))
    }
  }
  return [...groups.values()]
}

function withPod(group: PodGroup, pod: Pod, now: Date): PodGroup {
  const name = fullName(pod)
  return {
    ...group,
    total: group.total + 1,
    ready: group.ready + (isReady(pod) ? 1 : 0),
    restarts: group.restarts + containersOf(pod).reduce((sum, { restartCount }) => sum + restartCount, 0),
    restarting: [...group.restarting, ...restartsOf(pod, now).map((why) => ({ pod: name, why }))],
    notReady: isReady(pod) ? group.notReady : [...group.notReady, { pod: name, why: whyNotReady(pod) }],
  }
}

/** Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy : the kubelet waits five minutes at most. */
function restartsOf(pod: Pod, now: Date): string[] {
  return containersOf(pod).flatMap(({ name, restartCount, lastState }) => {
    const { finishedAt, reason, exitCode } = lastState?.terminated ?? {}
    const ago = now.getTime() - Date.parse(finishedAt ?? '')
    if (restartCount < manyRestarts || !(ago < shortlyMs)) return []
    return [`${name} was started ${restartCount + 1} times, and ended ${reason ?? `with ${exitCode}`} at ${finishedAt}`]
  })
}

function containersOf(pod: Pod): NonNullable<Pod['status']['containerStatuses']> {
  return pod.status.containerStatuses ?? []
}

async function controllersIn(api: KubernetesApi, path: string): Promise<Controllers> {
  const found = new Map<string, ReturnType<typeof controllerOf>>()
  for await (const page of api.pages<KubernetesObject>(path))
    for (const [uid, controller] of controllersOf(page)) found.set(uid, controller)
  return found
}

/** Jobs, and CronJobs by the newest Job that each has made; `failed` is what it says of its failure, empty if there is none. */
export async function readJobs(api: KubernetesApi): Promise<Baseline['jobs']> {
  const newest = new Map<string, Job>()
  for (const job of await api.list<Job>('/apis/batch/v1/jobs')) {
    const owner = controllerOf(job)
    const key = owner ? `${owner.kind} ${job.metadata.namespace}/${owner.name}` : `Job ${fullName(job)}`
    const known = newest.get(key)
    if (known === undefined || madeAt(job) > madeAt(known)) newest.set(key, job)
  }
  return [...newest].map(([key, job]) => ({ key, failed: failureOf(job) }))
}

function madeAt({ metadata }: Job): string {
  return metadata.creationTimestamp ?? ''
}

function failureOf({ status }: Job): string {
  const failed = status?.conditions?.find((each) => each.type === 'Failed' && each.status === 'True')
  return failed ? (failed.message ?? failed.reason ?? 'it failed') : ''
}
