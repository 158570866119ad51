import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import pMap from 'p-map'
import { ApiError, type KubernetesApi, type KubernetesObject } from '../kubernetes/api.ts'
import { type Clock, systemClock } from '../migration/clock.ts'
import { boundClaim, withClaimId } from './homelab/binding.ts'
import { type Fixture, type Homelab, readHomelab } from './homelab/fixtures.ts'
import { fieldManagerOf, ownerOf } from './homelab/ownership.ts'
import { unboundClaims, unboundVolumes, unreadyWorkloads, unservedDefinitions } from './homelab/readiness.ts'
import { nameOf } from './homelab/resources.ts'
import { withPlainValues } from './homelab/secrets.ts'
import { healthyStatus } from './homelab/statuses.ts'

export interface PopulateOptions {
  /** the folder that stands for /var/local-path-provisioner on the machine's disk */
  localPathRoot: string
  /** stands in every Secret's values, to be searched for in what is written elsewhere */
  canary?: string
  nodeName?: string
  /** which homelab; that of the runbook, if not given */
  fixture?: Fixture
  /** seconds to wait for each of: definitions served, claims bound, workloads ready */
  timeoutSeconds?: number
  clock?: Clock
  signal?: AbortSignal
}

const atOnce = 24
const first = ['Namespace', 'StorageClass', 'PriorityClass']
const claims = ['PersistentVolumeClaim']
const volumes = ['PersistentVolume']
const definitions = ['CustomResourceDefinition']
const workloads = ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Job']

/**
 * Fills a practice cluster with a homelab of test/fixtures and waits until it runs: objects by server-side
 * apply in the order of their dependencies, statuses as their controllers would have written them, files in the
 * local-path volumes, and at last what a person changed by hand.
 * @throws Error naming the condition that was not met, and by which objects, when a wait takes longer than its timeout
 */
export async function populate(api: KubernetesApi, options: PopulateOptions): Promise<void> {
  const homelab = await readHomelab(options)
  const cluster = new Cluster(api, homelab, options)
  const parts = inOrder(homelab)
  await Promise.all([cluster.apply(parts.first), writeLocalVolumes(homelab.objects, options.localPathRoot)])
  const makeCustomResources = async () => {
    await cluster.apply(parts.definitions)
    await cluster.wait('definitions are served', unservedDefinitions)
    await cluster.apply(parts.custom)
  }
  await Promise.all([cluster.bind(parts.claims, parts.volumes), cluster.apply(parts.plain), makeCustomResources()])
  await cluster.apply(parts.workloads)
  await cluster.apply(parts.owned)
  await cluster.writeStatuses()
  await cluster.wait('workloads are ready', unreadyWorkloads)
  for (const { object, patch } of homelab.handEdits) {
    await api.mergePatch(homelab.types.path(object), patch, { fieldManager: 'kubectl-edit' })
  }
}

function inOrder({ objects, types }: Homelab) {
  const isIn = (kinds: readonly string[]) => (object: KubernetesObject) => kinds.includes(object.kind ?? '')
  const isOwned = ({ metadata }: KubernetesObject) => (metadata.ownerReferences ?? []).length > 0
  const isEarly = isIn([...first, ...claims, ...volumes, ...definitions])
  const free = objects.filter((object) => !isEarly(object) && !isOwned(object))
  const builtIn = free.filter((object) => !types.of(object).custom)
  const isWorkload = isIn(workloads)
  return {
    first: objects.filter(isIn(first)),
    claims: objects.filter(isIn(claims)),
    volumes: objects.filter(isIn(volumes)),
    definitions: objects.filter(isIn(definitions)),
    plain: builtIn.filter((object) => !isWorkload(object)),
    workloads: builtIn.filter(isWorkload),
    custom: free.filter((object) => types.of(object).custom),
    owned: objects.filter(isOwned),
  }
}

class Cluster {
  #api: KubernetesApi
  #homelab: Homelab
  #options: PopulateOptions
  #clock: Clock
  #live = new Map<string, KubernetesObject>()

  constructor(api: KubernetesApi, homelab: Homelab, options: PopulateOptions) {
    this.#api = api
    this.#homelab = homelab
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  async apply(objects: KubernetesObject[]): Promise<void> {
    await pMap(objects, (object) => this.#applyOne(object), { concurrency: atOnce })
  }

  async #applyOne(object: KubernetesObject): Promise<void> {
    const { types } = this.#homelab
    const wanted = withPlainValues(this.#withOwnerIds(object), this.#options.canary)
    const status = types.of(object).statusApart ? undefined : this.#statusOf(object)
    const manager = fieldManagerOf(ownerOf(object))
    const live = await this.#retried(() =>
      this.#api.apply(types.path(object), status ? { ...wanted, status } : wanted, manager),
    )
    this.#live.set(nameOf(object), live)
  }

  /** Applies claims and volumes, and binds them. A claim may be marked only when the controller knows its volume, or it is Lost. */
  async bind(claims: KubernetesObject[], volumes: KubernetesObject[]): Promise<void> {
    await this.apply(claims)
    const live = new Map(
      claims.map(({ metadata }) => {
        const name = `${metadata.namespace}/${metadata.name}`
        return [name, this.#live.get(`PersistentVolumeClaim ${name}`) ?? { metadata }]
      }),
    )
    await this.apply(volumes.map((volume) => withClaimId(volume, live)))
    await this.wait('volumes are bound', unboundVolumes)
    await pMap(claims, (claim) => this.#markBound(claim), { concurrency: atOnce })
    await this.wait('claims are bound', unboundClaims)
  }

  async #markBound(claim: KubernetesObject): Promise<void> {
    const { volumeName } = claim.spec as { volumeName: string }
    const volume = this.#live.get(`PersistentVolume ${volumeName}`)
    if (!volume) throw new Error(`${nameOf(claim)} has no volume ${volumeName}`)
    const { status, mark } = boundClaim(claim, volume)
    const path = this.#homelab.types.path(claim)
    await this.#retried(() => this.#api.apply(`${path}/status`, status, 'kube-controller-manager'))
    await this.#retried(() => this.#api.apply(path, mark, 'kube-controller-manager'))
  }

  /** An ownerReference needs the id that the API server gave to the owner. */
  #withOwnerIds(object: KubernetesObject): KubernetesObject {
    const { ownerReferences, namespace } = object.metadata
    if (!ownerReferences) return object
    const resolved = ownerReferences.map((reference) => {
      const owner = this.#live.get(
        nameOf({
          kind: reference.kind,
          metadata: { name: reference.name, ...(namespace === undefined ? {} : { namespace }) },
        }),
      )
      if (!owner)
        throw new Error(`${nameOf(object)} is owned by ${reference.kind} ${reference.name}, which is not there`)
      return { ...reference, uid: owner.metadata.uid ?? '' }
    })
    return { ...object, metadata: { ...object.metadata, ownerReferences: resolved } }
  }

  async writeStatuses(): Promise<void> {
    const { objects, types } = this.#homelab
    const apart = objects.filter((object) => types.of(object).statusApart)
    await pMap(apart, (object) => this.#writeStatus(object), { concurrency: atOnce })
  }

  async #writeStatus(object: KubernetesObject): Promise<void> {
    const status = this.#statusOf(this.#live.get(nameOf(object)) ?? object)
    if (!status) return
    const { apiVersion, kind, metadata } = object
    const { name, namespace } = metadata
    const body = { apiVersion, kind, metadata: { name, namespace }, status }
    await this.#retried(() => this.#api.apply(`${this.#homelab.types.path(object)}/status`, body, 'controller'))
  }

  #statusOf(object: KubernetesObject): Record<string, unknown> | undefined {
    return healthyStatus(object, { now: this.#clock.now(), objects: this.#homelab.objects })
  }

  /** The API server answers 404 or 409 for an instant after a namespace or a definition was made, and 429 when it is busy. */
  async #retried<T>(send: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await send()
      } catch (error) {
        const passing = error instanceof ApiError && ([404, 409, 429].includes(error.status) || error.status >= 500)
        if (!passing || attempt === 20) throw error
        await this.#clock.sleep(100)
      }
    }
  }

  /** @param unmet names what is not yet as it must be; nothing named means that the condition is met */
  async wait(condition: string, unmet: (api: KubernetesApi, homelab: Homelab) => Promise<string[]>): Promise<void> {
    const { timeoutSeconds = 180, signal } = this.#options
    const deadline = this.#clock.elapsed() + timeoutSeconds * 1000
    for (;;) {
      signal?.throwIfAborted()
      const names = await unmet(this.#api, this.#homelab)
      if (names.length === 0) return
      if (this.#clock.elapsed() > deadline) {
        const some = names.slice(0, 8).join(', ')
        throw new Error(`not within ${timeoutSeconds} s: ${condition}. Not yet (${names.length}): ${some}`)
      }
      await this.#clock.sleep(100)
    }
  }
}

async function writeLocalVolumes(objects: KubernetesObject[], localPathRoot: string): Promise<void> {
  for (const object of objects) {
    if (object.kind !== 'PersistentVolume') continue
    const { hostPath, local } = object.spec as { hostPath?: { path: string }; local?: { path: string } }
    const path = hostPath?.path ?? local?.path
    if (path === undefined) continue
    const folder = join(localPathRoot, basename(path))
    await mkdir(join(folder, 'data'), { recursive: true })
    await writeFile(join(folder, 'data', 'segment-000001'), fillerOf(object.metadata.name))
    await writeFile(join(folder, 'VERSION'), `${object.metadata.name}\n`)
  }
}

/** 4 to 68 KiB that differ from volume to volume, so that a mixed-up folder shows. */
function fillerOf(name: string): Buffer {
  const seed = createHash('sha256').update(name).digest()
  return Buffer.alloc(4096 + seed.readUInt16LE(0), seed)
}
