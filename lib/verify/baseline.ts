import * as z from 'zod'
import { isAutomatic, readArgoCd, servedArgoKinds } from '../gitops/argocd.ts'
import { readFlux, servedFluxKinds } from '../gitops/flux.ts'
import type { KubernetesApi } from '../kubernetes/api.ts'
import {
  type CronJob,
  fullName,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
} from '../kubernetes/kinds.ts'
import { isNodeReady, isVirtual } from '../kubernetes/nodes.ts'
import { readReadiness } from '../kubernetes/readiness.ts'
import { type Reach, reachFromHere } from '../network/nebula/peers.ts'
import { readExternalSecrets } from './external-secrets.ts'
import { readHosts } from './hosts.ts'
import type { Answer } from './ingress.ts'
import { askMesh } from './mesh.ts'
import { readNames } from './names.ts'
import { readPeerings } from './peerings.ts'
import { readJobs, readPodGroups } from './pod-groups.ts'

const named = { key: z.string() }
const podAndWhy = z.object({ pod: z.string(), why: z.string() })
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
      /** pods that are started again and again, ready at this moment or not */
      restarting: z.array(podAndWhy).default([]),
      notReady: z.array(podAndWhy),
    }),
  ),
  jobs: z.array(z.object({ ...named, failed: z.string() })).default([]),
  cronJobs: z.array(z.object({ ...named, suspended: z.boolean() })),
  volumes: z.array(z.object({ ...named, phase: z.string(), storageClass: z.string(), claim: z.string() })),
  claims: z.array(z.object({ ...named, phase: z.string(), storageClass: z.string(), size: z.string() })),
  flux: z.array(z.object({ ...named, ...condition, suspended: z.boolean(), observed: z.boolean() })),
  applications: z.array(
    z.object({ ...named, automated: z.boolean(), sync: z.string(), health: z.string(), message: z.string() }),
  ),
  externalSecrets: z.array(z.object({ ...named, ...condition })),
  /** Liqo's; trouble is empty where there is none */
  peerings: z.array(z.object({ ...named, trouble: z.string() })).default([]),
  /** who of MESH_PEERS answered this computer */
  mesh: z.array(z.object({ ...named, answers: z.boolean(), saw: z.string() })).default([]),
  /** what else there is, by its name alone; an older baseline has none */
  names: z.array(z.object(named)).default([]),
  hosts: z.array(z.object({ host: z.string(), from: z.string() })),
  /** what the node's address answered for each host; empty if it was not asked */
  ingress: z.array(z.object({ host: z.string(), status: z.number().nullable(), saw: z.string() })),
})

export type Baseline = z.output<typeof baselineSchema>

/** What is asked beside the API; what is not given is not asked. */
export interface Surroundings {
  now?: Date
  /** asks the node's ingress for hosts */
  askIngress?: (hosts: readonly string[]) => Promise<Answer[]>
  meshPeers?: readonly string[]
  reach?: Reach
}

/**
 * Reads the whole state that later checks are held against, all at once. What is not installed (Flux, Argo CD, External Secrets,
 * Traefik, Liqo) is an empty list.
 * @throws ApiError when the API server refuses or fails a read
 */
export async function takeBaseline(
  api: KubernetesApi,
  { now = new Date(), askIngress, meshPeers = [], reach = reachFromHere }: Surroundings = {},
): Promise<Baseline> {
  const [core, storage, gitops, outside, ingress, mesh, names] = await Promise.all([
    readCore(api, now),
    readStorage(api),
    readGitOps(api),
    readOutside(api),
    readIngress(api, askIngress),
    askMesh(meshPeers, reach),
    readNames(api),
  ])
  return { version: 1, takenAt: now.toISOString(), ...core, ...storage, ...gitops, ...outside, ...ingress, mesh, names }
}

/** Nodes, and what runs on them. */
export async function readCore(
  api: KubernetesApi,
  now: Date,
): Promise<Pick<Baseline, 'nodes' | 'workloads' | 'pods' | 'jobs' | 'cronJobs'>> {
  const [nodes, readiness, pods, jobs, cronJobs] = await Promise.all([
    api.list<Node>('/api/v1/nodes'),
    readReadiness(api),
    readPodGroups(api, now),
    readJobs(api),
    api.list<CronJob>('/apis/batch/v1/cronjobs'),
  ])
  return {
    nodes: nodes.map(nodeState),
    workloads: readiness.map(({ key, wanted, ready, observed }) => ({ key, wanted, ready, observed })),
    pods,
    jobs,
    cronJobs: cronJobs.map((each) => ({ key: `CronJob ${fullName(each)}`, suspended: each.spec.suspend === true })),
  }
}

/** Volumes and the claims on them. */
export async function readStorage(api: KubernetesApi): Promise<Pick<Baseline, 'volumes' | 'claims'>> {
  const [volumes, claims] = await Promise.all([
    api.list<PersistentVolume>('/api/v1/persistentvolumes'),
    api.list<PersistentVolumeClaim>('/api/v1/persistentvolumeclaims'),
  ])
  return { volumes: volumes.map(volumeState), claims: claims.map(claimState) }
}

/** Flux and Argo CD. */
export async function readGitOps(api: KubernetesApi): Promise<Pick<Baseline, 'flux' | 'applications'>> {
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

/** What comes from outside, and other clusters. */
export async function readOutside(api: KubernetesApi): Promise<Pick<Baseline, 'externalSecrets' | 'peerings'>> {
  const [externalSecrets, peerings] = await Promise.all([readExternalSecrets(api), readPeerings(api)])
  return { externalSecrets, peerings }
}

/** The hosts that are served, and what is answered for each. */
export async function readIngress(
  api: KubernetesApi,
  ask: Surroundings['askIngress'],
): Promise<Pick<Baseline, 'hosts' | 'ingress'>> {
  const hosts = await readHosts(api)
  return { hosts, ingress: ask === undefined ? [] : await ask(hosts.map(({ host }) => host)) }
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
