import { z } from 'zod'
import { isAutomatic, readArgoCd, servedArgoKinds } from '../gitops/argocd.ts'
import { readFlux, servedFluxKinds } from '../gitops/flux.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import {
  type CronJob,
  type controllerOf,
  fullName,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
} from '../kubernetes/kinds.ts'
import { isNodeReady, isVirtual } from '../kubernetes/nodes.ts'
import {
  type Controllers,
  controllersOf,
  describeOwner,
  isFinished,
  isReady,
  ownerOf,
  whyNotReady,
} from '../kubernetes/pods.ts'
import { readReadiness } from '../kubernetes/readiness.ts'
import { readExternalSecrets } from './external-secrets.ts'
import { readHosts } from './hosts.ts'
import { askIngress } from './ingress.ts'

const named = { key: z.string() }
const condition = { ready: z.string(), message: z.string() }

/**
 * The cluster's health at one moment, as far as it is compared later: taken by backup before anything is changed, and
 * again by verify. Plain JSON without secrets. Pods come and go, so they are kept by owner.
 */
export const baselineSchema = z.object({
  version: z.literal(1),
  takenAt: z.string(),
  nodes: z.array(
    z.object({ ...named, ready: z.boolean(), schedulable: z.boolean(), virtual: z.boolean(), kubelet: z.string() }),
  ),
  workloads: z.array(z.object({ ...named, wanted: z.number(), ready: z.number(), observed: z.boolean() })),
  pods: z.array(
    z.object({
      owner: z.string(),
      total: z.number(),
      ready: z.number(),
      restarts: z.number(),
      notReady: z.array(z.object({ pod: z.string(), why: z.string() })),
    }),
  ),
  cronJobs: z.array(z.object({ ...named, suspended: z.boolean() })),
  volumes: z.array(z.object({ ...named, phase: z.string(), storageClass: z.string(), claim: z.string() })),
  claims: z.array(z.object({ ...named, phase: z.string(), storageClass: z.string(), size: z.string() })),
  flux: z.array(z.object({ ...named, ...condition, suspended: z.boolean(), observed: z.boolean() })),
  applications: z.array(
    z.object({ ...named, automated: z.boolean(), sync: z.string(), health: z.string(), message: z.string() }),
  ),
  externalSecrets: z.array(z.object({ ...named, ...condition })),
  hosts: z.array(z.object({ host: z.string(), from: z.string() })),
  /** what the node's address answered for each host; empty if it was not asked */
  ingress: z.array(z.object({ host: z.string(), status: z.number().nullable(), saw: z.string() })),
})

export type Baseline = z.output<typeof baselineSchema>

/**
 * Reads the whole state that later checks are held against. What is not installed (Flux, Argo CD, External Secrets,
 * Traefik) is an empty list.
 * @param address the node's, to ask its ingress for every host; without it, ingress is not asked
 * @throws ApiError when the API server refuses or fails a read
 */
export async function takeBaseline(
  api: KubernetesApi,
  { now = new Date(), address }: { now?: Date; address?: string } = {},
): Promise<Baseline> {
  const [cluster, gitops, externalSecrets, hosts] = await Promise.all([
    readCluster(api),
    readGitOps(api),
    readExternalSecrets(api),
    readHosts(api),
  ])
  const ingress =
    address === undefined
      ? []
      : await askIngress(
          hosts.map(({ host }) => host),
          address,
        )
  return { version: 1, takenAt: now.toISOString(), ...cluster, ...gitops, externalSecrets, hosts, ingress }
}

async function readCluster(
  api: KubernetesApi,
): Promise<Pick<Baseline, 'nodes' | 'workloads' | 'pods' | 'cronJobs' | 'volumes' | 'claims'>> {
  const [nodes, readiness, pods, cronJobs, volumes, claims] = await Promise.all([
    api.list<Node>('/api/v1/nodes'),
    readReadiness(api),
    podsByOwner(api),
    api.list<CronJob>('/apis/batch/v1/cronjobs'),
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
  ])
  return {
    nodes: nodes.map(nodeState),
    workloads: readiness.map(({ key, wanted, ready, observed }) => ({ key, wanted, ready, observed })),
    pods,
    cronJobs: cronJobs.map((each) => ({ key: `CronJob ${fullName(each)}`, suspended: each.spec.suspend === true })),
    volumes: volumes.map(volumeState),
    claims: claims.map(claimState),
  }
}

async function readGitOps(api: KubernetesApi): Promise<Pick<Baseline, 'flux' | 'applications'>> {
  const [fluxKinds, argoKinds] = await Promise.all([servedFluxKinds(api), servedArgoKinds(api)])
  const [flux, argo] = await Promise.all([readFlux(api, fluxKinds), readArgoCd(api, argoKinds)])
  return {
    flux: flux.map(({ key, ready, message, suspended, observed }) => ({ key, ready, message, suspended, observed })),
    applications: argo
      .filter((object) => object.kind === 'Application')
      .map((object) => ({
        key: object.key,
        automated: isAutomatic(object),
        sync: object.sync,
        health: object.health,
        message: object.message,
      })),
  }
}

function nodeState(node: Node): Baseline['nodes'][number] {
  return {
    key: `Node ${node.metadata.name}`,
    ready: isNodeReady(node),
    schedulable: node.spec.unschedulable !== true,
    virtual: isVirtual(node),
    kubelet: node.status?.nodeInfo?.kubeletVersion ?? '',
  }
}

/** Of a thousand pods only a few words are kept, page by page. */
async function podsByOwner(api: KubernetesApi): Promise<Baseline['pods']> {
  const controllers = new Map([
    ...(await controllersIn(api, '/apis/apps/v1/replicasets')),
    ...(await controllersIn(api, '/apis/batch/v1/jobs')),
  ])
  const groups = new Map<string, Baseline['pods'][number]>()
  for await (const page of api.pages<Pod>('/api/v1/pods')) {
    for (const pod of page.filter((each) => !isFinished(each))) {
      const owner = describeOwner(ownerOf(pod, controllers), pod)
      const group = groups.get(owner) ?? { owner, total: 0, ready: 0, restarts: 0, notReady: [] }
      group.total += 1
      group.restarts += restartsOf(pod)
      if (isReady(pod)) group.ready += 1
      else group.notReady.push({ pod: fullName(pod), why: whyNotReady(pod) })
      groups.set(owner, group)
    }
  }
  return [...groups.values()]
}

async function controllersIn(api: KubernetesApi, path: string): Promise<Controllers> {
  const found = new Map<string, ReturnType<typeof controllerOf>>()
  for await (const page of api.pages(path))
    for (const [uid, controller] of controllersOf(page)) found.set(uid, controller)
  return found
}

function restartsOf(pod: Pod): number {
  return (pod.status.containerStatuses ?? []).reduce((sum, container) => sum + container.restartCount, 0)
}

function volumeState(volume: PersistentVolume): Baseline['volumes'][number] {
  const { claimRef, storageClassName = '' } = volume.spec
  return {
    key: `PersistentVolume ${volume.metadata.name}`,
    phase: volume.status?.phase ?? 'Unknown',
    storageClass: storageClassName,
    claim: claimRef ? `${claimRef.namespace}/${claimRef.name}` : '',
  }
}

function claimState(claim: PersistentVolumeClaim): Baseline['claims'][number] {
  return {
    key: `PersistentVolumeClaim ${fullName(claim)}`,
    phase: claim.status?.phase ?? 'Unknown',
    storageClass: claim.spec.storageClassName ?? '',
    size: claim.status?.capacity?.storage ?? claim.spec.resources?.requests?.storage ?? '',
  }
}
