import { setMaxListeners } from 'node:events'
import { pathToFileURL } from 'node:url'
import pMap from 'p-map'
import type { KubernetesApi, KubernetesObject } from '../kubernetes/api.ts'
import { type Clock, systemClock } from '../migration/clock.ts'
import { messageOf } from '../migration/errors.ts'
import { driftOf } from './adversaries/drift.ts'
import { hasMandate, leavesSyncPolicy } from './adversaries/mandate.ts'
import { type Collection, Mirror } from './adversaries/mirror.ts'
import { argoReport, firstReport, fluxReport, type Report, type Situation } from './adversaries/reports.ts'
import { type Fixture, type Homelab, readHomelab } from './homelab/fixtures.ts'
import { fieldManagerOf, type Owner, ownerOf } from './homelab/ownership.ts'
import { nameOf } from './homelab/resources.ts'
import { withPlainValues } from './homelab/secrets.ts'

/** Something that a controller did to the cluster. */
export interface AdversaryAction {
  at: string
  /** e.g. `Kustomization flux-system/monitoring` */
  by: string
  did: 'put back' | 'reported'
  object: string
  /** the difference that was put back, or what was reported */
  detail: string
}

export interface AdversaryOptions {
  onAction?: (action: AdversaryAction) => void
  nodeName?: string
  /** which homelab the cluster was filled with, as populate() was told it */
  fixture?: Fixture
  /** what stands in the values of all Secrets, as populate() was told it */
  canary?: string
  clock?: Clock
}

export interface Adversaries {
  /** Everything that was done so far, in order. */
  readonly actions: readonly AdversaryAction[]
  /** Resolves once all collections have been read for the first time. */
  readonly ready: Promise<void>
  stop(): Promise<void>
}

/** What is compared with Git; of all other kinds only the absence is put right. */
const compared = [
  ...['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'ConfigMap', 'HorizontalPodAutoscaler'],
  ...['Kustomization', 'HelmRelease', 'GitRepository', 'HelmRepository'],
  ...['Application', 'ApplicationSet', 'Prometheus', 'Alertmanager', 'ExternalSecret', 'IngressRoute'],
]
const fluxKinds = ['Kustomization', 'HelmRelease', 'GitRepository', 'HelmRepository']
const atOnce = 8
const pauseBetweenPassesMs = 100

/**
 * Plays Flux, Argo CD and the Prometheus operator at their worst moment: what differs from test/fixtures/catalyst is put back at
 * once and not at the next interval, unless its owner is suspended, paused, not automated, or its controller scaled to 0.
 * They go on through an absence of the API server, and take whatever it then has as the truth.
 * @param kubeconfigPath is read again for every new connection
 */
export function startAdversaries(kubeconfigPath: string, options: AdversaryOptions = {}): Adversaries {
  const game = new Game(kubeconfigPath, options)
  return { actions: game.actions, ready: game.ready, stop: () => game.stop() }
}

class Game {
  readonly actions: AdversaryAction[] = []
  readonly ready: Promise<void>
  #clock: Clock
  #options: AdversaryOptions
  #mirror: Mirror
  #stopped = new AbortController()
  #isStale = false
  #wake: () => void = () => {}
  #isReady: () => void = () => {}
  #ended: Promise<void>

  constructor(kubeconfigPath: string, options: AdversaryOptions) {
    this.#options = options
    setMaxListeners(0, this.#stopped.signal)
    this.#clock = options.clock ?? systemClock
    this.#mirror = new Mirror(kubeconfigPath, { clock: this.#clock, onChange: () => this.#changed() })
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve
    })
    this.#ended = this.#play()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#changed()
    await this.#ended
  }

  #changed(): void {
    this.#isStale = true
    this.#wake()
  }

  async #play(): Promise<void> {
    const homelab = await readHomelab(this.#options)
    const { signal } = this.#stopped
    const following = this.#mirror.follow(collectionsOf(homelab), signal)
    const wanted = homelab.objects.filter((object) => ownerOf(object))
    while (!signal.aborted) {
      if (!this.#isStale) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      this.#isStale = false
      if (!signal.aborted) await this.#pass(homelab, wanted.map(withSwitches))
      await this.#clock.sleep(pauseBetweenPassesMs, signal)
    }
    await following
  }

  /** Looks at everything once. Owners come before what they own, so that a child that was un-suspended acts in the next pass. */
  async #pass(homelab: Homelab, wanted: KubernetesObject[]): Promise<void> {
    if (compared.every((kind) => this.#mirror.knows(kind))) this.#isReady()
    const drifted = wanted.flatMap((object) => {
      const detail = this.#driftToPutBack(object)
      return detail === undefined ? [] : [{ object, detail }]
    })
    await pMap(drifted, ({ object, detail }) => this.#putBack(homelab, object, detail), { concurrency: atOnce })
    const reports = this.#reports(homelab, wanted)
    await pMap(reports, ({ object, report }) => this.#report(object, report), { concurrency: atOnce })
  }

  #driftToPutBack(object: KubernetesObject): string | undefined {
    const owner = ownerOf(object)
    if (!owner || !this.#knows(object.kind) || !this.#knows(owner.kind)) return undefined
    const live = this.#live(object)
    if (live?.metadata.annotations?.['kustomize.toolkit.fluxcd.io/reconcile'] === 'disabled') return undefined
    const drift = this.#drift(this.#asOwnerSeesIt(object, owner), live)
    if (drift === undefined || !hasMandate(owner, (name) => this.#mirror.get(name))) return undefined
    return drift
  }

  #drift(wanted: KubernetesObject, live: KubernetesObject | undefined): string | undefined {
    return live && !compared.includes(wanted.kind ?? '') ? undefined : driftOf(wanted, live)
  }

  /** An ApplicationSet writes whole specs, so a field that is only there is a difference to it. */
  #asOwnerSeesIt(object: KubernetesObject, owner: Owner): KubernetesObject {
    if (owner.kind !== 'ApplicationSet') return object
    const live = this.#live(object)?.spec as { syncPolicy?: { automated?: { enabled?: boolean } } } | undefined
    const spec = object.spec as Record<string, unknown> & { syncPolicy: { automated: Record<string, unknown> } }
    if (leavesSyncPolicy(this.#mirror.get(`ApplicationSet ${owner.namespace}/${owner.name}`), object.metadata.name)) {
      return { ...object, spec: { ...spec, syncPolicy: live?.syncPolicy } }
    }
    if (live?.syncPolicy?.automated?.enabled !== false) return object
    const automated = { ...spec.syncPolicy.automated, enabled: true }
    return { ...object, spec: { ...spec, syncPolicy: { ...spec.syncPolicy, automated } } }
  }

  async #putBack(homelab: Homelab, object: KubernetesObject, detail: string): Promise<void> {
    const owner = ownerOf(object)
    await this.#write({ object, did: 'put back', detail, by: owner }, async (api) => {
      const path = homelab.types.path(object)
      const live = this.#live(object)
      if (owner?.kind === 'ApplicationSet' && live) return api.replace(path, { ...live, spec: object.spec })
      const wanted = this.#owned(object)
      return api.apply(path, live ? wanted : asInGit(wanted, this.#options.canary), fieldManagerOf(owner))
    })
  }

  /** With the ids of its owners as they are now. */
  #owned(object: KubernetesObject): KubernetesObject {
    const { ownerReferences, ...metadata } = object.metadata
    const references = (ownerReferences ?? []).flatMap((reference) => {
      const owner = this.#mirror.get(nameOf({ kind: reference.kind, metadata: { ...metadata, name: reference.name } }))
      return owner?.metadata.uid === undefined ? [] : [{ ...reference, uid: owner.metadata.uid }]
    })
    return { ...object, metadata: references.length === 0 ? metadata : { ...metadata, ownerReferences: references } }
  }

  #reports(homelab: Homelab, wanted: KubernetesObject[]): { object: KubernetesObject; report: Report }[] {
    const situation: Situation = {
      now: this.#clock.now(),
      lookup: (name) => this.#mirror.get(name),
      types: homelab.types,
      wanted,
      nameOf,
      driftOf: (object) => (this.#knows(object.kind) ? this.#drift(object, this.#live(object)) : undefined),
    }
    return wanted.flatMap((object) => {
      const live = this.#live(object)
      if (!live || !this.#knows(object.kind)) return []
      const report = reportFor(live, situation)
      return report ? [{ object, report }] : []
    })
  }

  async #report(object: KubernetesObject, { what, send }: Report): Promise<void> {
    await this.#write({ object, did: 'reported', detail: what, by: undefined }, send)
  }

  async #write(
    action: { object: KubernetesObject; did: AdversaryAction['did']; detail: string; by: Owner | undefined },
    send: (api: KubernetesApi) => Promise<KubernetesObject>,
  ): Promise<void> {
    try {
      this.#mirror.learn(await send(await this.#mirror.api()))
    } catch {
      // The API server is away, or the object has changed meanwhile: the next pass sees what is true then.
      this.#isStale = this.#knows(action.object.kind)
      return
    }
    const by = action.by ? nameOf({ kind: action.by.kind, metadata: action.by }) : 'controller'
    const { did, detail } = action
    const done = { at: this.#clock.now().toISOString(), by, did, object: nameOf(action.object), detail }
    this.actions.push(done)
    this.#options.onAction?.(done)
  }

  #live(object: KubernetesObject): KubernetesObject | undefined {
    return this.#mirror.get(nameOf(object))
  }

  #knows(kind: string | undefined): boolean {
    return this.#mirror.knows(kind ?? '')
  }
}

function reportFor(live: KubernetesObject, situation: Situation): Report | undefined {
  if (live.kind === 'Application') return argoReport(live, situation)
  return fluxKinds.includes(live.kind ?? '') ? fluxReport(live, situation) : firstReport(live, situation)
}

/**
 * What is made of Git when it is not there: a claim in Git names no volume, so that one without its old volume waits for a new, empty
 * one; and nothing has a switch that Git does not name.
 */
function asInGit(object: KubernetesObject, canary: string | undefined): KubernetesObject {
  const { volumeName, suspend, ...spec } = (object.spec ?? {}) as { volumeName?: string; suspend?: boolean }
  if (object.kind === 'PersistentVolumeClaim') return { ...object, spec }
  if (fluxKinds.includes(object.kind ?? '')) return { ...object, spec: suspend ? { ...spec, suspend } : spec }
  return withPlainValues(object, canary)
}

/** Flux writes `suspend: false` where Git says nothing: that is how a parent un-suspends its children. */
function withSwitches(object: KubernetesObject): KubernetesObject {
  if (!fluxKinds.includes(object.kind ?? '')) return object
  return { ...object, spec: { suspend: false, ...(object.spec as Record<string, unknown>) } }
}

/** All kinds that anything is owned of. */
function collectionsOf({ objects, types }: Homelab): Collection[] {
  const kinds = new Map(
    objects.filter((object) => ownerOf(object)).map(({ kind = '', apiVersion = '' }) => [kind, apiVersion]),
  )
  return [...kinds].map(([kind, apiVersion]) => ({
    apiVersion,
    kind,
    path: types.collection({ apiVersion, kind }),
    // A cable that was pulled says nothing: this is how long nobody notices.
    watchSeconds: compared.includes(kind) ? 10 : 30,
  }))
}

async function main(kubeconfigPath: string | undefined): Promise<void> {
  if (kubeconfigPath === undefined) {
    console.error('usage: tsx lib/rehearsal/adversaries.ts KUBECONFIG')
    process.exitCode = 2
    return
  }
  const adversaries = startAdversaries(kubeconfigPath, { onAction: (action) => console.log(JSON.stringify(action)) })
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void adversaries.stop())
}

// Inside of a bundle this module has the bundle's address, which is then the program's too.
if (process.argv[1]?.endsWith('adversaries.ts') && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv[2]).catch((error: unknown) => {
    console.error(messageOf(error))
    process.exitCode = 1
  })
}
